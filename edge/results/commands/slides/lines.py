"""Slides as tables for people and as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from edge.results.commands.slides.slide_text import NONE, number_text, slide_text
from edge.results.document.result import SlideResult
from edge.results.document.to_json import to_json
from edge.results.slides.outcome import Held, Note, SlideReport
from edge.text.counted import counted
from edge.text.printable import printable
from edge.text.text_table import text_table

_CLASSES: Final = ("NEU", "EOS", "BAS", "LYM", "MON", "IG")
_SHORT: Final = {"preliminary": "prelim."}


def report_text(report: SlideReport) -> str:
    """The slides with their counts, then what does not leave, with its reason."""
    parts = [_table(report), *_section("Flags", _flags(report))]
    waiting = [(*_ids(one.so_far), one.reason) for one in report.incomplete]
    parts += _section("Incomplete and not issued; each waits for", waiting)
    held = [
        (one.file or "", "", one.reason)
        if one.sample_id is None
        else (*_ids(one), f"{one.reason} ({counted(one.images, 'image')})")
        for one in report.held
    ]
    parts += _section("Held", held)
    nameless = [
        (one.folder, "", f"{one.reason} ({counted(one.images, 'image')})")
        for one in report.unidentified
    ]
    parts += _section("Images of unidentified samples, by folder", nameless)
    parts += _section("Notes", [(*_ids(one), one.text) for one in report.notes])
    return "\n\n".join(filter(None, [*parts, _summary(report)]))


def slide_texts(report: SlideReport) -> Iterator[str]:
    """Each result of a report with both intervals of each class."""
    for result in report.new:
        yield slide_text(result, f"{result.state}, revision {result.revision}, not issued")
    for result in report.standing:
        yield slide_text(result, f"{result.state}, revision {result.revision}, issued")
    for one in report.incomplete:
        yield slide_text(one.so_far, "incomplete, not issued")


def json_lines(report: SlideReport) -> Iterator[str]:
    """One line of JSON in ASCII for everything in a report; `kind` says what it is."""
    for kind, results in (("new", report.new), ("standing", report.standing)):
        yield from (_json(kind, result=_document(result)) for result in results)
    for one in report.incomplete:
        yield _json("incomplete", result=_document(one.so_far), reason=one.reason)
    for held in report.held:
        ids = {"sample_id": held.sample_id, "slide_id": held.slide_id}
        yield _json("held", **ids, images=held.images, reason=held.reason, file=held.file)
    for nameless in report.unidentified:
        place = {"folder": nameless.folder, "images": nameless.images}
        yield _json("unidentified_sample", **place, reason=nameless.reason)
    for note in report.notes:
        yield _json("note", sample_id=note.sample_id, slide_id=note.slide_id, text=note.text)


def _table(report: SlideReport) -> str:
    waiting = {one.so_far.slide_key for one in report.incomplete}
    results = [*report.new, *report.standing, *(one.so_far for one in report.incomplete)]
    issued = {result.result_id for result in report.standing}
    heading = ("sample", "slide", "state", "", _in_columns(_CLASSES), "NRBC", "PLT", "un", "rej")
    rows: list[Sequence[str]] = [heading]
    for result in sorted(
        results, key=lambda one: (one.sample_id, one.slide_id or "", one.revision)
    ):
        is_issued = result.result_id in issued
        state = str(result.state) if is_issued or result.slide_key not in waiting else "incomplete"
        rows += _rows(result, state, is_issued=is_issued)
    if len(rows) == 1:
        return ""
    return text_table(rows, right=range(3, len(heading)))


def _rows(result: SlideResult, state: str, *, is_issued: bool) -> list[Sequence[str]]:
    """Percentages, and below them counts: so a line stays within 80 columns."""
    found = result.differential
    nucleated = found.erythroblasts
    percents = _in_columns([number_text(one.percent) for one in found.classes])
    counts = _in_columns([str(one.count) for one in found.classes])
    platelets = "yes" if found.platelets else "no"
    left_out = str(found.unidentified), str(found.rejected)
    revision = f"revision {result.revision}" if is_issued else "not issued"
    cells = counted(len(result.cells), "cell")
    return [
        (
            *(result.sample_id, result.slide_id or NONE, _SHORT.get(state, state), "%", percents),
            *(number_text(nucleated.per_100_wbc, 1), platelets, *left_out),
        ),
        (cells, "", revision, "n", counts, str(nucleated.count), str(found.platelets), "", ""),
    ]


def _in_columns(values: Sequence[str]) -> str:
    return "".join(f"{value:>4}" for value in values)


def _flags(report: SlideReport) -> list[tuple[str, str, str]]:
    results = [*report.new, *report.standing]
    return [(*_ids(one), flag.text) for one in results for flag in one.differential.flags]


def _section(title: str, rows: Sequence[tuple[str, str, str]]) -> list[str]:
    named = [(" ".join(filter(None, (a, b))), text) for a, b, text in rows]
    lines = [f"  {name}: {text}" if name else f"  {text}" for name, text in named]
    return ["\n".join([f"{title}:", *map(printable, lines)])] if lines else []


def _ids(one: SlideResult | Held | Note) -> tuple[str, str]:
    if one.sample_id is None:
        return "", ""
    return one.sample_id, one.slide_id or ""


def _summary(report: SlideReport) -> str:
    flagged = sum(bool(result.differential.flags) for result in (*report.new, *report.standing))
    parts = [
        f"{counted(len(report.new), 'result')} to issue",
        f"{len(report.standing)} issued",
        f"{len(report.incomplete)} incomplete",
        f"{len(report.held)} held",
    ]
    if nameless := len(report.unidentified):
        parts.append(f"{counted(nameless, 'folder')} without a sample")
    flags = f"; {counted(flagged, 'result')} with flags" if flagged else ""
    return f"{', '.join(parts)}{flags}."


def _document(result: SlideResult) -> Any:
    return json.loads(to_json(result))


def _json(kind: str, **fields: Any) -> str:
    return json.dumps({"kind": kind, **fields})
