"""Parses a bundle's manifest: types, sizes and texts are checked before they are used."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import BundleError

SCHEMA: Final = "edge-bundle/1"
MANIFEST_NAME: Final = "manifest.json"
# The manifest's own hash, in the form that `sha256sum --check` reads.
SEAL_NAME: Final = "manifest.sha256"
GOLDEN_NAME: Final = "golden/golden.json"

# Roles of artefacts in the manifest.
ROLE_MODEL: Final = "model"
ROLE_ENGINE: Final = "engine"
ROLE_RECORD: Final = "record"
ROLE_GOLDEN: Final = "golden"
ROLE_EVIDENCE: Final = "evidence"
EVIDENCE_NAME: Final = "evidence/evidence.json"
ROLE_REFERENCE: Final = "reference"

# A manifest has about 10 kB, the golden logits about 30 kB. A graph has at most 2 GiB (protobuf's
# limit). All files are read at every start, hence a limit for their sum.
MAX_JSON_BYTES: Final = 4 << 20
MAX_BUNDLE_BYTES: Final = 4 << 30
# Golden images are kept in memory.
MAX_GOLDEN_BYTES: Final = 64 << 20
_MAX_TEXT: Final = 500
# What a logit may be divided by; beyond it probabilities are no longer numbers, or all equal.
TEMPERATURES: Final = (0.01, 100.0)


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file of the bundle. `requires` lists what a model needs, such as its back end."""

    path: str
    role: str
    sha256: str
    bytes: int
    precision: str | None
    requires: dict[str, str]


@dataclass(frozen=True, slots=True)
class GoldenImage:
    """A golden image and the logits (classes,) that each graph computed during conversion.

    The keys of `logits` are precisions. Graphs for TensorRT, which rounds at other places, have
    the key `PRECISION.trt`. `scores` are those of `edge.trust.familiarity`, by graph file; empty
    where the bundle has no reference of a laboratory.
    """

    path: str
    logits: dict[str, NDArray[np.float32]]
    scores: dict[str, float] = field(default_factory=dict)

    def expected(self, backend: str, precision: str) -> NDArray[np.float32]:
        """The logits (classes,) that a session must give.

        Raises:
            BundleError: the bundle has no logits for that precision.
        """
        own = f"{precision}.trt"
        is_own = backend.startswith("tensorrt") and own in self.logits
        logits = self.logits.get(own if is_own else precision)
        if logits is None:
            raise BundleError(
                f"golden image {self.path} has no logits for {precision} on {backend}. Convert "
                "the model again."
            )
        return logits


def read_artefacts(values: Any) -> tuple[Artefact, ...]:
    """The files that a manifest lists.

    Raises:
        ValueError, KeyError, TypeError: it is damaged.
    """
    artefacts = tuple(_artefact(require_dict(entry)) for entry in values)
    if twice := [p for p, n in Counter(one.path for one in artefacts).items() if n > 1]:
        raise ValueError(f"artefact path {twice[0]!r} is listed twice")
    total = sum(artefact.bytes for artefact in artefacts)
    if total > MAX_BUNDLE_BYTES:
        raise ValueError(f"its files have {total} bytes, at most {MAX_BUNDLE_BYTES} are read")
    golden = sum(artefact.bytes for artefact in artefacts if artefact.role == ROLE_GOLDEN)
    if golden > MAX_GOLDEN_BYTES:
        raise ValueError(f"its golden images have {golden} bytes, at most {MAX_GOLDEN_BYTES}")
    return artefacts


def read_golden(values: Any, classes: tuple[str, ...]) -> tuple[GoldenImage, ...]:
    """The golden images; at least one, since sessions are checked on them.

    Raises:
        ValueError, KeyError, TypeError: they are damaged.
    """
    golden = tuple(_golden(require_dict(entry), len(classes)) for entry in values)
    if not golden:
        raise ValueError("it has no golden images")
    return golden


def read_text(value: Any, name: str) -> str:
    """A printable text short enough for a log line, a sidecar and a metric.

    Raises:
        ValueError: `value` is anything else.
    """
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or not value.isprintable():
        raise ValueError(f"{name} is {_short(value)}, not a line of up to {_MAX_TEXT} characters")
    return value


def read_share(value: Any, name: str) -> float:
    """A number from 0 to 1.

    Raises:
        ValueError: `value` is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{name} is {_short(value)}, not a number from 0 to 1")
    return float(value)


def read_temperatures(value: Any, artefacts: tuple[Artefact, ...]) -> dict[str, float]:
    """The temperature of each graph, by its path.

    Raises:
        ValueError: not an object of numbers above 0, or of a file that is no model.
    """
    models = {artefact.path for artefact in artefacts if artefact.role == ROLE_MODEL}
    found = {}
    for path, number in require_dict(value).items():
        if path not in models:
            raise ValueError(f"temperature is of {_short(path)}, which is no model of this bundle")
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        low, high = TEMPERATURES
        if not is_number or not low <= number <= high:
            raise ValueError(
                f"temperature of {path} is {_short(number)}, not a number from {low} to {high}"
            )
        found[path] = float(number)
    return found


def read_classes(values: Any) -> tuple[str, ...]:
    """The names of the classes.

    Raises:
        ValueError: fewer than two, not all different, or not printable texts.
    """
    if not isinstance(values, list):
        raise ValueError(f"classes is {_short(values)}, not a list")  # noqa: TRY004 - bad data
    classes = tuple(read_text(name, "a class") for name in values)
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise ValueError(f"classes is {_short(classes)}, not two or more different names")
    return classes


def require_dict(value: Any) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: `value` is anything else.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{_short(value)} is not a JSON object")  # noqa: TRY004 - bad data
    return value


def _artefact(entry: dict[str, Any]) -> Artefact:
    path, size = read_text(entry["path"], "an artefact's path"), entry["bytes"]
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts:
        raise ValueError(f"artefact path {path!r} leaves the bundle")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise ValueError(f"bytes of {path} is {_short(size)}, not a size")
    requires = require_dict(entry.get("requires", {}))
    precision = entry.get("precision")
    return Artefact(
        path=str(parts),
        role=read_text(entry["role"], f"role of {path}"),
        sha256=read_text(entry["sha256"], f"sha256 of {path}"),
        bytes=size,
        precision=None if precision is None else read_text(precision, f"precision of {path}"),
        requires={key: read_text(value, f"{key} of {path}") for key, value in requires.items()},
    )


def _golden(entry: dict[str, Any], count: int) -> GoldenImage:
    path = read_text(entry["path"], "a golden image's path")
    logits = {
        precision: np.asarray(values, np.float32)
        for precision, values in require_dict(entry["logits"]).items()
    }
    for precision, values in logits.items():
        if values.shape != (count,):
            raise ValueError(
                f"logits {precision} of {path} have shape {values.shape}, {count} classes need "
                f"({count},)"
            )
        # The check divides the deviation by the logits' range, which must not be zero.
        if not np.isfinite(values).all() or not np.ptp(values) > 0:
            raise ValueError(f"logits {precision} of {path} are not different numbers")
    scores = require_dict(entry.get("familiarity", {}))
    if not all(type(score) in (int, float) and np.isfinite(score) for score in scores.values()):
        raise ValueError(f"familiarity of {path} is {_short(scores)}, not numbers by graph")
    return GoldenImage(path, logits, scores)


def _short(value: object) -> str:
    """`value` for a message, cut to 80 characters; it comes from an unchecked file."""
    try:
        text = ascii(value)
    except ValueError:  # Python writes no integers of more than 4300 digits
        text = f"a very long {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}..."
