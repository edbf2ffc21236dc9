"""A comparison as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from edge.bench.compare.comparison import Comparison, FigureChange, SeriesChange, Verdict
from edge.bench.statistics.percentiles import Estimate, Figure
from edge.text.printable import printable
from edge.text.text_table import text_table
from edge.text.wrapped import wrapped

# Verdicts that are explained below the table.
_TOLD = (Verdict.SLOWER, Verdict.NOT_COMPARABLE)
_HEADING = ("series", "figure", "before", "after", "change", "95 % interval", "verdict")


def comparison_as_text(comparison: Comparison) -> str:
    """A row for each figure, then what is slower or not comparable and why, then the result."""
    rows = [row for one in comparison.series for row in _rows(one)]
    parts = [text_table([_HEADING, *rows], right={2, 3, 4})] if rows else []
    told = [one for one in comparison.series if one.verdict in _TOLD]
    same: dict[tuple[str, str], list[str]] = {}
    for one in told:
        same.setdefault((one.verdict, one.why), []).append(one.id)
    lines = [wrapped(f"{verdict}: {', '.join(ids)}: {why}") for (verdict, why), ids in same.items()]
    lines += [wrapped(f"note: {note}") for note in comparison.notes]
    if lines:
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, result_line(comparison)])


def result_line(comparison: Comparison) -> str:
    """How many series became what, and what was allowed."""
    counts = [
        f"{sum(one.verdict == verdict for one in comparison.series)} {verdict}"
        for verdict in Verdict
    ]
    # One line, for those who take the last one.
    return (
        f"{printable(comparison.after)} against {printable(comparison.before)}: "
        f"{', '.join(counts)} of {len(comparison.series)} series "
        f"(allowed: {comparison.allow_percent:g} %)"
    )


def _rows(series: SeriesChange) -> Iterator[tuple[str, ...]]:
    for number, change in enumerate(series.changes):
        yield (series.id if number == 0 else "", *_cells(change))


def _cells(change: FigureChange) -> tuple[str, ...]:
    percent = change.percent
    cells = (change.name, _figure(change.before, change.unit), _figure(change.after, change.unit))
    if isinstance(percent, Estimate):
        interval = f"{percent.low:+.1f} to {percent.high:+.1f} %"
        return (*cells, f"{percent.value:+.1f} %", interval, str(change.verdict))
    return (*cells, "-", "-", percent.why)


def _figure(figure: Figure, unit: str) -> str:
    return f"{figure.value:.4g} {unit}" if isinstance(figure, Estimate) else "-"
