"""Parses the content of a sidecar and holds it against the schema, field by field.

jsonschema needs 2 ms for a sidecar, and 100,000 are to be read in 8 s. A test compares both.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from types import NoneType
from typing import Any, Final, NoReturn, TypeAlias

from edge.errors import RejectReason
from edge.results.reading.problem import ForeignError, ProblemCode, SidecarError
from edge.sidecar import SCHEMA
from edge.status import Status
from edge.text.printable import printable
from edge.trust.unfamiliar import Unfamiliar

Fields: TypeAlias = dict[str, Any]
_Types: TypeAlias = tuple[tuple[str, frozenset[type]], ...]

_PREFIX: Final = SCHEMA.partition("/")[0] + "/"
_TEXT: Final[frozenset[type]] = frozenset({str})
_OBJECT: Final[frozenset[type]] = frozenset({dict})
# Not bool, which is an int in Python and not a number in JSON.
_NUMBER: Final[frozenset[type]] = frozenset({int, float})
_TEXT_OR_NULL: Final[frozenset[type]] = frozenset({str, NoneType})
_OBJECT_OR_NULL: Final[frozenset[type]] = frozenset({dict, NoneType})
_INTEGER_OR_NULL: Final[frozenset[type]] = frozenset({int, NoneType})
_NUMBER_OR_NULL: Final[frozenset[type]] = frozenset({int, float, NoneType})
_TOP: Final[_Types] = (
    ("status", _TEXT),
    ("image", _OBJECT),
    ("sample_id", _TEXT_OR_NULL),
    ("slide_id", _TEXT_OR_NULL),
    ("label", _TEXT_OR_NULL),
    ("confidence", _NUMBER_OR_NULL),
    ("probabilities", _OBJECT_OR_NULL),
    ("reason", _TEXT_OR_NULL),
    ("message", _TEXT_OR_NULL),
    ("model", _OBJECT),
    ("timing_ms", _OBJECT),
    ("created", _TEXT),
    ("software", _TEXT),
    ("host", _TEXT),
)
_IMAGE: Final[_Types] = (
    ("file", _TEXT),
    ("sha256", _TEXT_OR_NULL),
    ("bytes", _INTEGER_OR_NULL),
    ("width", _INTEGER_OR_NULL),
    ("height", _INTEGER_OR_NULL),
    ("modified", _TEXT_OR_NULL),
)
_MODEL: Final[_Types] = tuple(
    (name, _TEXT) for name in ("name", "version", "bundle_sha256", "precision", "backend")
)
_TIMING: Final[_Types] = tuple(
    (name, _NUMBER) for name in ("decode", "preprocess", "infer", "total")
)
_FAMILIARITY: Final[_Types] = (
    ("score", _NUMBER),
    ("limit", _NUMBER),
    ("passes", frozenset({bool})),
    ("reason", _TEXT_OR_NULL),
)
_UNFAMILIAR: Final = frozenset((None, *map(str, Unfamiliar)))
_STATUSES: Final = frozenset(map(str, Status))
_REASONS: Final = frozenset(map(str, RejectReason))
_PRECISIONS: Final = frozenset({"fp32", "fp16", "int8"})
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)", re.ASCII)
# An escaped surrogate: the only way to half of a pair in a text that is UTF-8.
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parse_fields(content: bytes) -> Fields:
    """A sidecar's fields, after a check against `edge-sidecar/1`. Additional ones are accepted.

    Raises:
        ForeignError: it is JSON, and no sidecar of this product.
        SidecarError: it is no usable sidecar.
    """
    parsed = _parse_json(content)
    fields: Fields = parsed if type(parsed) is dict else {}
    schema = fields.get("schema")
    if type(schema) is not str or not schema.startswith(_PREFIX):
        raise ForeignError
    if schema != SCHEMA:
        raise SidecarError(
            ProblemCode.OTHER_SCHEMA, f"schema {schema!r}, this version reads {SCHEMA!r}"
        )
    _require_types("", fields, _TOP)
    _check_image(fields["image"])
    _check_decision(fields)
    if fields["image"]["sha256"] is None and fields["reason"] is None:
        # It would be in no count, as cells are counted by the hashes of their images.
        _contradict(f"status {fields['status']} of an image without a hash")
    _check_model(fields["model"])
    timing = fields["timing_ms"]
    _require_types("timing_ms.", timing, _TIMING)
    for name, _ in _TIMING:
        # The upper limit refuses 1e999, which Python reads as infinity.
        if not 0 <= timing[name] < float("inf"):
            _refuse(f"timing_ms.{name} is no time")
    if not _MOMENT.fullmatch(fields["created"]):
        _refuse("created is no time with an offset")
    _check_additions(fields)
    return fields


def _check_additions(fields: Fields) -> None:
    """The fields that sidecars of the first versions lack."""
    familiarity = fields.get("familiarity")
    if familiarity is not None:
        _require_types("", fields, (("familiarity", _OBJECT),))
        _require_types("familiarity.", familiarity, _FAMILIARITY)
        if familiarity["reason"] not in _UNFAMILIAR:
            _refuse(f"familiarity.reason is {familiarity['reason']!r}, which no version writes")
    drift = fields.get("drift")
    if drift is not None:
        _require_types("", fields, (("drift", _OBJECT),))
        _require_types("drift.", drift, (("since", _TEXT),))
        if not _MOMENT.fullmatch(drift["since"]):
            _refuse("drift.since is no time with an offset")


def _check_image(image: Fields) -> None:
    _require_types("image.", image, _IMAGE)
    if not _is_name(image["file"]):
        _refuse("image.file is no file name")
    if "folder" in image and not _is_folder(image["folder"]):
        _refuse("image.folder is no path below a watch folder")
    if image["sha256"] is not None and not _SHA256.fullmatch(image["sha256"]):
        _refuse("image.sha256 is no SHA-256")
    if image["modified"] is not None and not _MOMENT.fullmatch(image["modified"]):
        _refuse("image.modified is no time with an offset")
    for name, least in (("bytes", 0), ("width", 1), ("height", 1)):
        if image[name] is not None and image[name] < least:
            _refuse(f"image.{name} is less than {least}")


def _check_decision(fields: Fields) -> None:
    status, label, reason = fields["status"], fields["label"], fields["reason"]
    confidence, probabilities = fields["confidence"], fields["probabilities"]
    if status not in _STATUSES:
        _refuse("status is none of this version")
    if reason is not None and reason not in _REASONS:
        _refuse("reason is none of this version")
    if confidence is not None and not 0 <= confidence <= 1:
        _refuse("confidence is not from 0 to 1")
    for probability in (probabilities or {}).values():
        if type(probability) not in _NUMBER or not 0 <= probability <= 1:
            _refuse("probabilities has a value that is not from 0 to 1")
    is_rejected = status == Status.REJECTED
    if is_rejected != (reason is not None):
        _contradict(f"status {status} {'without' if is_rejected else 'with'} a reason")
    if is_rejected != (confidence is None) or is_rejected != (probabilities is None):
        with_ = "with" if is_rejected else "without"
        _contradict(f"status {status} {with_} confidence or probabilities")
    is_labelled = status == Status.LABELLED
    if is_labelled != (label is not None):
        _contradict(f"status {status} {'without' if is_labelled else 'with'} a label")
    if is_labelled:
        _check_label(label, probabilities)


def _check_label(label: str, probabilities: Fields) -> None:
    if label not in probabilities:
        _contradict("the label is none of the classes in probabilities")
    if probabilities[label] < max(probabilities.values()):
        _contradict("the label is not the most probable class")


def _check_model(model: Fields) -> None:
    _require_types("model.", model, _MODEL)
    if type(model.get("graph", "")) is not str:
        _refuse("model.graph is no text")
    _check_model_values(model["bundle_sha256"], model["precision"])


@lru_cache(maxsize=64)
def _check_model_values(bundle_sha256: str, precision: str) -> None:
    if not _SHA256.fullmatch(bundle_sha256):
        _refuse("model.bundle_sha256 is no SHA-256")
    if precision not in _PRECISIONS:
        _refuse("model.precision is none of this version")


def _parse_json(content: bytes) -> Any:
    try:
        # json.loads would also take other encodings, and lone surrogates in UTF-8.
        text = content.decode()
        fields = _DECODER.decode(text)
        if "\\u" in text and _SURROGATE.search(text):
            json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise SidecarError(ProblemCode.NOT_JSON, "not UTF-8; torn or damaged") from error
    except UnicodeEncodeError as error:
        text = "a text has half of a UTF-16 surrogate pair"
        raise SidecarError(ProblemCode.NOT_JSON, text) from error
    except RecursionError as error:
        raise SidecarError(ProblemCode.NOT_JSON, "nested too deeply") from error
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" starting at")
        text = f"not whole JSON at character {error.pos}: {what}" if content else "empty"
        raise SidecarError(ProblemCode.NOT_JSON, text) from error
    except ValueError as error:
        raise SidecarError(ProblemCode.NOT_JSON, str(error).partition(";")[0]) from error
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _without_doubles(pairs: list[tuple[str, Any]]) -> Fields:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_without_doubles, parse_constant=_refuse_constant
)


def _require_types(where: str, fields: Fields, types: _Types) -> None:
    try:
        for name, allowed in types:
            if type(fields[name]) not in allowed:
                _refuse(f"{where}{name} has another type: {type(fields[name]).__name__}")
    except KeyError as error:
        raise SidecarError(
            ProblemCode.MISSING_FIELD, f"{where}{error.args[0]} is missing"
        ) from error


def _is_name(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name


def _is_folder(folder: object) -> bool:
    return folder == "." or (type(folder) is str and all(map(_is_name, folder.split("/"))))


def _refuse(text: str) -> NoReturn:
    raise SidecarError(ProblemCode.WRONG_VALUE, printable(text))


def _contradict(text: str) -> NoReturn:
    raise SidecarError(ProblemCode.CONTRADICTION, text)
