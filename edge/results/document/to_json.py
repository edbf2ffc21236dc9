"""Writes a slide's result as JSON: the same result always gives the same bytes."""

from __future__ import annotations

import json
import math
from json.encoder import encode_basestring
from typing import Any, Final

from edge.results.document.result import (
    SCHEMA,
    ClassResult,
    Differential,
    Interval,
    ResultCell,
    SlideResult,
    Verification,
)
from edge.text.rfc3339 import rfc3339

_WORDS: Final = {None: "null", True: "true", False: "false"}
_DURING_DRIFT: Final = ', "during_drift": true'


def to_json(result: SlideResult) -> bytes:
    """The document, UTF-8, `edge-result/1`; `from_json` gives back an equal result.

    Raises:
        ValueError: a time has no time zone, a number is not finite, or a text is no Unicode.
    """
    # A line for each field and each cell: the encoder is several times slower when it indents.
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    lines = [f"{encode(name)}: {encode(value)}" for name, value in _fields(result).items()]
    cells = ",\n  ".join(map(_cell, result.cells))
    lines.append(f'"cells": [\n  {cells}\n ]')
    return ("{\n " + ",\n ".join(lines) + "\n}\n").encode()


def _fields(result: SlideResult) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "result_id": result.result_id,
        "slide_key": result.slide_key,
        "sample_id": result.sample_id,
        "slide_id": result.slide_id,
        "state": str(result.state),
        "revision": result.revision,
        "replaces": result.replaces,
        "reason": result.reason,
        "completed": rfc3339(result.completed),
        "collected": rfc3339(result.collected) if result.collected else None,
        "verification": _verification(result.verification),
        "differential": _differential(result.differential),
        "models": [
            {"name": m.name, "version": m.version, "bundle_sha256": m.bundle_sha256}
            for m in result.models
        ],
        "rejected_images": list(result.rejected_images),
    }


def _verification(verification: Verification | None) -> dict[str, Any] | None:
    if verification is None:
        return None
    return {
        "by": {"id": verification.by.id, "name": verification.by.name},
        "at": rfc3339(verification.at),
        "note": verification.note,
    }


def _differential(differential: Differential) -> dict[str, Any]:
    erythroblasts = differential.erythroblasts
    return {
        "leukocytes": differential.leukocytes,
        "classes": [_class(one) for one in differential.classes],
        "erythroblasts": {
            "count": erythroblasts.count,
            "per_100_wbc": erythroblasts.per_100_wbc,
            "sampling": _interval(erythroblasts.sampling),
            "with_errors": _interval(erythroblasts.with_errors),
        },
        "platelets": differential.platelets,
        "unidentified": differential.unidentified,
        "rejected": differential.rejected,
        "wbc": differential.wbc,
        "errors_from": differential.errors_from,
        "flags": [{"code": str(flag.code), "text": flag.text} for flag in differential.flags],
    }


def _class(one: ClassResult) -> dict[str, Any]:
    return {
        "name": one.name,
        "count": one.count,
        "percent": one.percent,
        "share": one.share,
        "sampling": _interval(one.sampling),
        "with_errors": _interval(one.with_errors),
        "absolute": one.absolute,
    }


def _interval(interval: Interval | None) -> dict[str, float] | None:
    return {"low": interval.low, "high": interval.high} if interval else None


def _cell(cell: ResultCell) -> str:
    """One object of JSON: most of a document, for which the encoder's objects are too slow."""
    if not math.isfinite(cell.confidence):
        raise ValueError(f"confidence {cell.confidence} is no number of JSON")
    return (
        f'{{"image": {encode_basestring(cell.image)}, "sha256": {encode_basestring(cell.sha256)}, '
        f'"suggested": {_text(cell.suggested)}, "confidence": {float(cell.confidence)!r}, '
        f'"label": {_text(cell.label)}, "reviewed_by": {_text(cell.reviewed_by)}, '
        f'"is_familiar": {_WORDS[cell.is_familiar]}'
        # Left out if there is none, so that a result that older versions wrote keeps its bytes.
        f"{_unfamiliar(cell.unfamiliar)}"
        f"{_DURING_DRIFT if cell.during_drift else ''}}}"
    )


def _unfamiliar(reason: str | None) -> str:
    return f', "unfamiliar": {_text(reason)}' if reason else ""


def _text(text: str | None) -> str:
    return "null" if text is None else encode_basestring(text)
