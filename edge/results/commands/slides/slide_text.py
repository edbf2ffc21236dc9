"""One slide's differential with both intervals, for people."""

from __future__ import annotations

from typing import Final

from edge.results.document.result import Differential, Interval, SlideResult
from edge.text.counted import counted
from edge.text.printable import printable
from edge.text.rfc3339 import rfc3339
from edge.text.text_table import text_table

# Stands where there is no value.
NONE: Final = "-"


def slide_text(result: SlideResult, state: str) -> str:
    """What the slide is, its classes in a table, and what else was counted; `state` in words."""
    found = result.differential
    rows = [("class", "count", "%", "share %", "sampling 95 %", "with errors 95 %", "10^9/L")]
    rows += [
        (
            *(one.name, str(one.count), number_text(one.percent), number_text(one.share, 2)),
            *(_interval(one.sampling), _interval(one.with_errors), number_text(one.absolute, 2)),
        )
        for one in found.classes
    ]
    nucleated = found.erythroblasts
    limits = _interval(nucleated.sampling), _interval(nucleated.with_errors)
    per_100 = number_text(nucleated.per_100_wbc, 1)
    rows.append(("erythroblast /100", str(nucleated.count), per_100, NONE, *limits, NONE))
    table = text_table(rows, right=range(1, 7))
    return "\n".join([*_heading_lines(result, state), "", table, "", *_counted_lines(found)])


def number_text(value: float | None, digits: int = 0) -> str:
    """A number with as many decimals, or the sign for none."""
    return NONE if value is None else f"{value:.{digits}f}"


def _heading_lines(result: SlideResult, state: str) -> list[str]:
    lines = [
        f"sample     {result.sample_id}",
        f"slide      {result.slide_id or NONE}",
        f"state      {state}",
        f"completed  {rfc3339(result.completed)}",
    ]
    if result.collected:
        lines.append(f"collected  {rfc3339(result.collected)}")
    if result.verification:
        person = result.verification.by
        lines.append(f"verified   {person.name} ({person.id}), {rfc3339(result.verification.at)}")
    if result.reason:
        lines.append(f"reason     {result.reason}")
    models = ", ".join(f"{one.name} {one.version}" for one in result.models)
    return [*map(printable, lines), printable(f"models     {models}")]


def _counted_lines(found: Differential) -> list[str]:
    platelets = f"present ({counted(found.platelets, 'image')})" if found.platelets else "not seen"
    lines = [
        f"leukocytes    {found.leukocytes}",
        f"platelets     {platelets}",
        f"unidentified  {found.unidentified}",
        f"rejected      {found.rejected}",
        f"WBC           {NONE if found.wbc is None else f'{found.wbc:g} 10^9/L'}",
        f"errors from   {found.errors_from}",
    ]
    return [*lines, *(f"flag          {flag.code}: {flag.text}" for flag in found.flags)]


def _interval(interval: Interval | None) -> str:
    return NONE if interval is None else f"{interval.low:.2f} to {interval.high:.2f}"
