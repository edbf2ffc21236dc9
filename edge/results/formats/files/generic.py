"""CSV with everything that a result holds but its cells: a header and one row.

UTF-8, comma, CRLF, quoted where needed (RFC 4180). What a result lacks is empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

from edge.results.document.result import SCHEMA, Interval, SlideResult
from edge.results.formats.format import Context, Format
from edge.results.formats.misfits import FORMULA_STARTS, id_misfit
from edge.results.formats.observed import NOT_SEEN, PRESENT, number_text
from edge.text.printable import printable
from edge.text.rfc3339 import rfc3339

_Cell = tuple[str, str | float | None]


def _misfit(result: SlideResult, _context: Context) -> str | None:
    slide_id = result.slide_id
    return id_misfit(result.sample_id) or (id_misfit(slide_id, of="slide") if slide_id else None)


def _write(result: SlideResult, _context: Context) -> bytes:
    cells = list(_cells(result))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(name for name, _ in cells)
    writer.writerow(_text(value) for _, value in cells)
    return text.getvalue().encode()


def _cells(result: SlideResult) -> Iterator[_Cell]:
    yield from _identity(result)
    yield from _counts(result)
    yield from _provenance(result)


def _identity(result: SlideResult) -> Iterator[_Cell]:
    verification = result.verification
    yield "schema", SCHEMA
    yield "result_id", result.result_id
    yield "slide_key", result.slide_key
    yield "sample_id", result.sample_id
    yield "slide_id", result.slide_id
    yield "state", str(result.state)
    yield "revision", result.revision
    yield "replaces", result.replaces
    yield "reason", result.reason
    yield "completed", rfc3339(result.completed)
    yield "collected", rfc3339(result.collected) if result.collected else None
    yield "verified_by_id", verification.by.id if verification else None
    yield "verified_by_name", verification.by.name if verification else None
    yield "verified_at", rfc3339(verification.at) if verification else None
    yield "verification_note", verification.note if verification else None


def _counts(result: SlideResult) -> Iterator[_Cell]:
    found = result.differential
    yield "leukocytes", found.leukocytes
    yield "wbc", found.wbc
    for one in found.classes:
        yield f"{one.name}_count", one.count
        yield f"{one.name}_percent", one.percent
        yield f"{one.name}_share", one.share
        yield from _interval(f"{one.name}_sampling", one.sampling)
        yield from _interval(f"{one.name}_with_errors", one.with_errors)
        yield f"{one.name}_absolute", one.absolute
    nucleated = found.erythroblasts
    yield "erythroblast_count", nucleated.count
    yield "erythroblast_per_100_wbc", nucleated.per_100_wbc
    yield from _interval("erythroblast_sampling", nucleated.sampling)
    yield from _interval("erythroblast_with_errors", nucleated.with_errors)
    yield "platelets", PRESENT if found.platelets else NOT_SEEN
    yield "unidentified", found.unidentified
    yield "rejected", found.rejected
    yield "errors_from", found.errors_from


def _interval(name: str, limits: Interval | None) -> Iterator[_Cell]:
    yield f"{name}_low", limits.low if limits else None
    yield f"{name}_high", limits.high if limits else None


def _provenance(result: SlideResult) -> Iterator[_Cell]:
    flags, models = result.differential.flags, result.models
    yield "flags", " ".join(flag.code for flag in flags)
    yield "flag_texts", "; ".join(flag.text for flag in flags)
    yield "models", "; ".join(f"{model.name} {model.version}" for model in models)
    yield "bundles_sha256", " ".join(model.bundle_sha256 for model in models)
    yield "cells", len(result.cells)
    yield "cells_reviewed", sum(cell.reviewed_by is not None for cell in result.cells)


def _text(value: str | float | None) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return number_text(value)
    line = printable(value)
    # Ids never begin so: they would not be written at all.
    return f"'{line}" if line.startswith(FORMULA_STARTS) else line


GENERIC: Final = Format("generic", ".csv", _misfit, _write)
