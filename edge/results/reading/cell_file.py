"""Reads one sidecar, or several of a folder."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from sys import intern
from typing import Final, TypeAlias

from edge.files.safe_open import NotRegularError, TooLargeError, read_listed
from edge.image_folders.names import READ_SUFFIXES
from edge.results.document.result import ModelIdentity
from edge.results.reading.fields import Fields, parse_fields
from edge.results.reading.problem import ForeignError, Problem, ProblemCode, SidecarError
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.reading.tree import Listing
from edge.sidecar import sidecar_path
from edge.status import Status

SUFFIX: Final = ".json"
# 1,000 classes with names of 200 letters still fit.
LARGEST_BYTES: Final = 1 << 20
_STATUS: Final = {str(status): status for status in Status}
_OURS: Final = b'"edge-sidecar/'
# The end of a name that `sidecar_path` has cut.
_CUT: Final = re.compile(r"~[0-9a-f]{16}")
_ESCAPED_BYTE: Final = re.compile(rb"\\x([89a-f][0-9a-f])")
# A cell, what is wrong, or the name of the count in a `Tally`.
Item: TypeAlias = SidecarCell | Problem | str


def read_items(listing: Listing, names: Iterable[str]) -> list[Item]:
    """What each of these JSON files of an open folder is."""
    return [_item(listing, name) for name in names]


def read_cell(listing: Listing, name: str) -> tuple[SidecarCell, Fields]:
    """One sidecar of an open folder, and all of its fields.

    Raises:
        ForeignError: the file is of another program.
        SidecarError: it is no usable sidecar.
        FileNotFoundError: it is gone.
        NotRegularError: it is a link, pipe or device by now.
    """
    try:
        content = read_listed(name, LARGEST_BYTES, dir_fd=listing.opened.descriptor)
    except (FileNotFoundError, NotRegularError):
        raise
    except TooLargeError as error:
        if not has_name_of_sidecar(name):
            raise ForeignError from error
        text = f"larger than {LARGEST_BYTES >> 20} MiB"
        raise SidecarError(ProblemCode.TOO_LARGE, text) from error
    except OSError as error:
        text = f"cannot be read ({error.strerror})"
        raise SidecarError(ProblemCode.UNREADABLE, text) from error
    try:
        fields = parse_fields(content)
    except SidecarError as error:
        is_ours = _OURS in content or has_name_of_sidecar(name)
        if error.code is ProblemCode.NOT_JSON and not is_ours:
            raise ForeignError from error
        raise
    if name != fields["image"]["file"] + SUFFIX and not _is_of(name, fields["image"]["file"]):
        text = "the file name is not that of its image: a copied or renamed sidecar"
        raise SidecarError(ProblemCode.OTHER_NAME, text)
    return _cell(fields, listing, name), fields


def _item(listing: Listing, name: str) -> Item:
    try:
        return read_cell(listing, name)[0]
    except SidecarError as error:
        return Problem(listing.opened.path / name, error.code, str(error))
    except ForeignError:
        return "foreign"
    except FileNotFoundError:
        return "gone"
    except NotRegularError:
        return "special"


def _cell(fields: Fields, listing: Listing, name: str) -> SidecarCell:
    image, model = fields["image"], fields["model"]
    label, sample_id, slide_id = fields["label"], fields["sample_id"], fields["slide_id"]
    confidence = fields["confidence"]
    created = _moment("created", fields["created"])
    drift = fields.get("drift")
    familiarity = fields.get("familiarity") or {}
    # Equal texts are kept once: a table of 100,000 cells has few classes, samples and models.
    return SidecarCell(
        sidecar=listing.opened.path / name,
        folder=intern(image.get("folder") or listing.folder),
        file=image["file"],
        sha256=image["sha256"],
        status=_STATUS[fields["status"]],
        label=intern(label) if label is not None else None,
        confidence=float(confidence) if confidence is not None else None,
        probabilities={intern(k): float(p) for k, p in (fields["probabilities"] or {}).items()},
        reason=fields["reason"],
        message=fields["message"],
        sample_id=intern(sample_id) if sample_id is not None else None,
        slide_id=intern(slide_id) if slide_id is not None else None,
        model=_model(model["name"], model["version"], model["bundle_sha256"]),
        precision=intern(model["precision"]),
        backend=intern(model["backend"]),
        graph=intern(model["graph"]) if "graph" in model else None,
        created=created,
        is_familiar=familiarity.get("passes"),
        unfamiliar=familiarity.get("reason"),
        drift_since=_moment("drift.since", drift["since"]) if drift else None,
    )


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if not 1 < moment.year < 9999:
            # The first and last day of the calendar may be none in UTC.
            moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        problem = f"{name} is a time that does not exist"
        raise SidecarError(ProblemCode.WRONG_VALUE, problem) from error
    return moment


@lru_cache(maxsize=64)
def _model(name: str, version: str, bundle_sha256: str) -> ModelIdentity:
    return ModelIdentity(name, version, bundle_sha256)


def has_name_of_sidecar(name: str) -> bool:
    """Whether a file of this name would be the JSON sidecar of a JPEG or PNG image."""
    image = name.removesuffix(SUFFIX)
    return PurePosixPath(image).suffix.lower() in READ_SUFFIXES or bool(_CUT.search(image[-17:]))


def _is_of(name: str, file: str) -> bool:
    r"""Whether a sidecar's name is that of an image, which the sidecar may have as \xNN."""
    escaped = os.fsencode(file)
    raw = _ESCAPED_BYTE.sub(lambda match: bytes([int(match[1], 16)]), escaped)
    found = unicodedata.normalize("NFC", name)
    # A copy through another system may have the name in another Unicode form.
    return any(
        unicodedata.normalize("NFC", sidecar_path(Path(os.fsdecode(one)), "json").name) == found
        for one in (escaped, raw)
    )
