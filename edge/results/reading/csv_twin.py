"""Compares a CSV sidecar with the JSON sidecar of the same image."""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path
from typing import Final

from edge.results.reading.fields import Fields
from edge.sidecar import NAME_MAX_BYTES, image_of_sidecar, sidecar_path, to_csv

SUFFIX: Final = ".csv"
_PROBABILITY: Final = "probability_"
# The end of a name that `sidecar_path` has cut. Those of JSON and CSV are cut at other places.
_CUT: Final = re.compile(r"~[0-9a-f]{16}")


def twin_key(name: str) -> str:
    """What the names of an image's JSON and CSV sidecar have in common."""
    stem = name.rpartition(".")[0]
    if not _is_cut(name):
        # The name of a CSV may fit where that of the JSON has been cut.
        name = sidecar_path(Path(stem), "json").name
    return name.rpartition(".")[0][-17:] if _is_cut(name) else stem


def is_ours(content: bytes) -> bool:
    """Whether this is a CSV sidecar of this product."""
    return image_of_sidecar(content, "csv") is not None


def difference(content: bytes, fields: Fields) -> str | None:
    """The first column in which a CSV sidecar differs from a JSON sidecar; None: it agrees.

    Columns that the CSV lacks, because an older version wrote it, are no difference.
    """
    try:
        rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    except (ValueError, csv.Error):
        return "it is no CSV"
    if len(rows) != 2 or len(rows[0]) != len(rows[1]):
        return f"{len(rows)} rows, needed is a heading and a row of equal length"
    classes = [name.removeprefix(_PROBABILITY) for name in rows[0] if name.startswith(_PROBABILITY)]
    heading, row = csv.reader(
        io.StringIO(to_csv(_whole(fields), tuple(classes)).decode(), newline="")
    )
    expected = dict(zip(heading, row, strict=True))
    for name, value in zip(*rows, strict=True):
        if expected.get(name) != value:
            return f"column {name}"
    left_out = set(fields["probabilities"] or ()) - set(classes)
    return "a class of probabilities has no column" if left_out else None


def _is_cut(name: str) -> bool:
    # At most three bytes are dropped with a character that was cut through.
    is_long = len(os.fsencode(name)) >= NAME_MAX_BYTES - 3
    return is_long and _CUT.fullmatch(name.rpartition(".")[0][-17:]) is not None


def _whole(fields: Fields) -> Fields:
    """The fields, with those that older versions lack as None."""
    return {
        "familiarity": None,
        "drift": None,
        **fields,
        "image": {"folder": None, **fields["image"]},
        "model": {"graph": None, **fields["model"]},
    }
