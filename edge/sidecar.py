"""Sidecars: the outcome of one image as JSON and CSV files that a LIS reads."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import edge
from edge.files import atomic
from edge.files.open_folder import OpenFolder
from edge.status import Status
from edge.text.csv_cells import one_line, safe_cell
from edge.text.rfc3339 import rfc3339

if TYPE_CHECKING:
    # Programs that only read sidecars start in half the time without NumPy and OpenCV.
    from edge.bundle import Bundle
    from edge.labeller import Outcome
    from edge.session import InferenceSession
    from edge.trust.familiarity import Familiarity

SCHEMA: Final = "edge-sidecar/1"
FORMATS: Final = ("json", "csv")
# Longest file name of ext4, XFS, NTFS and SMB shares, in bytes.
NAME_MAX_BYTES: Final = 255
_IDS: Final = ("sample_id", "slide_id")
# The types of values that are safe in any cell; half of the cells are numbers.
_NUMBERS: Final = frozenset({int, float, type(None)})
_BETWEEN: Final = ",\n "
_encode: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(_BETWEEN, ": ")
).encode


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The model that labelled an image, and the back end that ran it."""

    name: str
    version: str
    bundle_sha256: str
    precision: str
    backend: str
    graph: str
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an image came from.

    Attributes:
        file: its name.
        sample_id: taken from its path.
        slide_id: likewise.
        folder: its folder relative to the watch folder, with `/`; `.` is the watch folder itself.
    """

    file: str
    sample_id: str | None = None
    slide_id: str | None = None
    folder: str = "."


def model_facts(bundle: Bundle, session: InferenceSession) -> ModelFacts:
    """The facts about the model that a sidecar holds."""
    return ModelFacts(
        name=bundle.name,
        version=bundle.version,
        bundle_sha256=bundle.sha256,
        precision=session.precision,
        backend=session.backend,
        graph=session.graph,
        classes=bundle.classes,
    )


def sidecar_fields(
    outcome: Outcome,
    origin: Origin,
    model: ModelFacts,
    *,
    host: str,
    created: datetime,
    drift_since: datetime | None = None,
) -> dict[str, Any]:
    """The sidecar as JSON types. `label` is null unless the cell was identified.

    Args:
        outcome: of the image.
        origin: where it came from.
        model: that labelled it.
        host: the machine's name.
        created: now.
        drift_since: since when the images of its analyzer look different from the laboratory's;
            None: they do not, or nothing watches them.
    """
    decision = outcome.decision
    is_labelled = outcome.status is Status.LABELLED
    image = outcome.image
    return {
        "schema": SCHEMA,
        "status": str(outcome.status),
        "image": {
            "file": origin.file,
            "folder": origin.folder,
            "sha256": image.sha256,
            "bytes": image.size_bytes,
            "width": image.width_px,
            "height": image.height_px,
            "modified": _rfc3339(image.modified) if image.modified else None,
        },
        "sample_id": origin.sample_id,
        "slide_id": origin.slide_id,
        "label": decision.label if decision and is_labelled else None,
        "confidence": round(decision.confidence, 6) if decision else None,
        "probabilities": {name: round(p, 6) for name, p in decision.probabilities.items()}
        if decision
        else None,
        "familiarity": _familiarity_fields(outcome.familiarity),
        "reason": str(outcome.reason) if outcome.reason else None,
        "message": outcome.message,
        "model": {
            "name": model.name,
            "version": model.version,
            "bundle_sha256": model.bundle_sha256,
            "precision": model.precision,
            "backend": model.backend,
            "graph": model.graph,
        },
        "timing_ms": {
            "decode": round(outcome.timing_ms.decode, 3),
            "preprocess": round(outcome.timing_ms.preprocess, 3),
            "infer": round(outcome.timing_ms.infer, 3),
            "total": round(outcome.timing_ms.total, 3),
        },
        "created": _rfc3339(created),
        "software": f"microscope-edge {edge.__version__}",
        "host": host,
        "drift": {"since": _rfc3339(drift_since)} if drift_since else None,
    }


def to_json(fields: dict[str, Any]) -> bytes:
    """The JSON sidecar, UTF-8, one field per line so that people can read it."""
    return (_indented(fields) + "\n").encode()


def to_csv(fields: dict[str, Any], classes: tuple[str, ...]) -> bytes:
    """The CSV sidecar, UTF-8: a header row and one row, columns in the order of `csv_columns`.

    Line breaks in names are escaped, so each row is one line. Cells that would start a formula are
    escaped, except ids: a LIS finds the patient by the id, and donation numbers begin with `=`.
    The JSON sidecar escapes neither.
    """
    cells = zip(_columns(classes), _csv_row(fields, classes), strict=True)
    row = [
        v if type(v) in _NUMBERS else one_line(v) if name in _IDS else safe_cell(v)
        for name, v in cells
    ]
    return (_csv_header(classes) + _csv_line(row)).encode()


def csv_columns(classes: tuple[str, ...]) -> list[str]:
    """Column names: the JSON fields flattened, nested names joined by an underscore."""
    return list(_columns(classes))


@cache
def _columns(classes: tuple[str, ...]) -> tuple[str, ...]:
    return (
        *("schema", "status", "image_file", "image_sha256", "image_bytes", "image_width"),
        *("image_height", "image_modified", "sample_id", "slide_id", "label", "confidence"),
        *(f"probability_{name}" for name in classes),
        *("reason", "message", "model_name", "model_version", "model_bundle_sha256"),
        *("model_precision", "model_backend", "timing_ms_decode", "timing_ms_preprocess"),
        *("timing_ms_infer", "timing_ms_total", "created", "software", "host"),
        # New columns are appended: a LIS may read columns by position.
        *("model_graph", "image_folder"),
        *("familiarity_score", "familiarity_passes", "familiarity_reason"),
        "drift_since",
    )


@cache
def _csv_header(classes: tuple[str, ...]) -> str:
    return _csv_line([safe_cell(name) for name in _columns(classes)])


def _csv_line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()


def sidecar_files(
    target: Path, fields: dict[str, Any], classes: tuple[str, ...], formats: tuple[str, ...]
) -> list[tuple[Path, bytes]]:
    """Paths and contents of an image's sidecars, in the order in which they must be written.

    The JSON comes last: a reader that sees it can rely on the CSV being complete.

    Args:
        target: the image's path, or the path that mirrors it in the results tree.
    """
    files: list[tuple[Path, bytes]] = []
    if "csv" in formats:
        files.append((sidecar_path(target, "csv"), to_csv(fields, classes)))
    if "json" in formats:
        files.append((sidecar_path(target, "json"), to_json(fields)))
    return files


def sidecar_path(target: Path, format_: str) -> Path:
    """`IMG.jpg` to `IMG.jpg.json`; a name that would be too long is cut and gets a hash."""
    name = os.fsencode(target.name)
    suffix = f".{format_}".encode()
    if len(name) + len(suffix) > NAME_MAX_BYTES:
        digest = b"~" + hashlib.sha256(name).hexdigest()[:16].encode()
        room = NAME_MAX_BYTES - len(suffix) - len(digest)
        # Some file systems refuse a name that ends inside a UTF-8 character.
        name = name[:room].decode(errors="ignore").encode() + digest
    return target.with_name(os.fsdecode(name + suffix))


def write_sidecars(
    files: list[tuple[Path, bytes]],
    *,
    held: Mapping[Path, OpenFolder] | None = None,
    before_rename: Callable[[Path], None] = lambda _path: None,
) -> None:
    """Write sidecars durably, creating the folders of a results tree.

    Args:
        files: paths and contents, in the order in which they must become visible.
        held: the folders of all files, which the caller has open, by path; None: they are made.
        before_rename: called with each path just before the file becomes visible; may raise.

    Raises:
        StorageError: the disk or share refused.
    """
    if held is None:
        for folder in {path.parent for path, _ in files}:
            atomic.make_folder(folder)
    atomic.write_files(files, held=held, before_rename=before_rename, chown_to_folder=True)


def image_of_sidecar(content: bytes, format_: str) -> str | None:
    """The image that a sidecar belongs to, in the form of `image_in_sidecar`.

    Returns:
        None if the content is no sidecar of this product.
    """
    try:
        if format_ == "json":
            fields = json.loads(content)
            schema, image = fields["schema"], fields["image"]["file"]
        else:
            header, row = islice(csv.reader(io.StringIO(content.decode(), newline="")), 2)
            cells = dict(zip(header, row, strict=False))
            schema, image = cells["schema"], cells["image_file"]
    except (ValueError, TypeError, KeyError, RecursionError, csv.Error):
        return None
    is_ours = isinstance(schema, str) and schema.startswith(SCHEMA.partition("/")[0] + "/")
    return image if is_ours and isinstance(image, str) else None


def image_in_sidecar(file: str, format_: str) -> str:
    """An image's name as it appears in its sidecar."""
    return file if format_ == "json" else str(safe_cell(file))


def now() -> datetime:
    """The local time with its offset."""
    return datetime.now(UTC).astimezone()


def _indented(fields: dict[str, Any]) -> str:
    """As `json.dumps` with indent=1 writes fields whose values may be blocks, in a quarter of time.

    Python's encoder in C indents nothing, but it takes any text between two items. No item holds
    that text, as a line break in a string is written with a backslash.
    """
    plain = {name: None if isinstance(v, dict) else v for name, v in fields.items()}
    lines = _encode(plain)[1:-1].split(_BETWEEN)
    for number, value in enumerate(fields.values()):
        if isinstance(value, dict):
            inner = _encode(value)[1:-1].replace(_BETWEEN, f"{_BETWEEN} ")
            block = "{\n  " + inner + "\n }" if value else "{}"
            lines[number] = lines[number].removesuffix("null") + block
    return "{\n " + _BETWEEN.join(lines) + "\n}"


def _familiarity_fields(familiarity: Familiarity | None) -> dict[str, Any] | None:
    if familiarity is None:
        return None
    return {
        "score": round(familiarity.score, 3),
        "limit": round(familiarity.limit, 3),
        "passes": familiarity.passes,
        "reason": familiarity.reason,
    }


def _csv_row(fields: dict[str, Any], classes: tuple[str, ...]) -> list[Any]:
    probabilities = fields["probabilities"] or {}
    image, model, timing = fields["image"], fields["model"], fields["timing_ms"]
    return [
        *(fields["schema"], fields["status"]),
        *(image[key] for key in ("file", "sha256", "bytes", "width", "height", "modified")),
        *(fields[key] for key in ("sample_id", "slide_id", "label", "confidence")),
        *(probabilities.get(name) for name in classes),
        *(fields["reason"], fields["message"]),
        *(model[key] for key in ("name", "version", "bundle_sha256", "precision", "backend")),
        *(timing[key] for key in ("decode", "preprocess", "infer", "total")),
        *(fields[key] for key in ("created", "software", "host")),
        *(model["graph"], image["folder"]),
        *((fields["familiarity"] or {}).get(key) for key in ("score", "passes", "reason")),
        (fields["drift"] or {}).get("since"),
    ]


def _rfc3339(moment: datetime) -> str:
    known = moment if moment.utcoffset() is not None else moment.astimezone(UTC)
    return rfc3339(known, timespec="milliseconds")
