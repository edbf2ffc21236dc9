"""Two measurements side by side: what became faster, slower or stayed, and what cannot be said."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from edge.bench.compare.change import change_of_percentile, change_of_rate
from edge.bench.compare.limits import (
    DEFAULT_ALLOW_PERCENT,
    LEAST_ALLOW_PERCENT,
    MOST_ALLOW_PERCENT,
)
from edge.bench.compare.same import different_subject
from edge.bench.reading.document import Document, MeasuredSeries
from edge.bench.reading.file import read_document
from edge.bench.statistics.percentiles import Estimate, Figure, Refused
from edge.errors import ConfigError

# The exit codes of `edge-bench compare`.
NO_REGRESSION: Final = 0
NOT_COMPARABLE: Final = 2
REGRESSION: Final = 4


class Verdict(StrEnum):
    """What became of a figure."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, slots=True)
class FigureChange:
    """The change of one figure in percent; `unit` is of the figures before and after."""

    name: str
    unit: str
    before: Figure
    after: Figure
    percent: Figure
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class SeriesChange:
    """The verdict on a series, why, and the changes it stands on; none if not comparable."""

    id: str
    verdict: Verdict
    why: str
    changes: tuple[FigureChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """The changes of all series from the first measurement to the second."""

    before: str
    after: str
    allow_percent: float
    series: tuple[SeriesChange, ...]
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """4 if anything is slower, else 2 if anything could not be compared, else 0."""
        verdicts = {one.verdict for one in self.series}
        if Verdict.SLOWER in verdicts:
            return REGRESSION
        return NOT_COMPARABLE if Verdict.NOT_COMPARABLE in verdicts or not verdicts else 0


def compare_files(
    before: Path,
    after: Path,
    *,
    allow_percent: float = DEFAULT_ALLOW_PERCENT,
    across_machines: bool = False,
) -> Comparison:
    """Compare the measurements in two files; the first is what it was before.

    Raises:
        ConfigError: a file is no measurement, or the two are of different images or machines.
    """
    return compare(
        read_document(before),
        read_document(after),
        allow_percent,
        across_machines=across_machines,
        names=(before.name, after.name),
    )


def compare(
    before: Document,
    after: Document,
    allow_percent: float = DEFAULT_ALLOW_PERCENT,
    *,
    across_machines: bool = False,
    names: tuple[str, str] = ("before", "after"),
) -> Comparison:
    """Compare two measurements, series by series.

    A series is slower if its change is certain to be worse than what is allowed, for its median or
    its p99; it is the same only where the interval is narrow enough to say so.

    Args:
        before: the measurement to compare with.
        after: the measurement in question.
        allow_percent: a change up to this size is no regression, and no improvement.
        across_machines: compare although the machines differ.
        names: how messages name the two.

    Raises:
        ConfigError: the images or the machines differ, or what is allowed is out of range.
    """
    if not LEAST_ALLOW_PERCENT <= allow_percent <= MOST_ALLOW_PERCENT:
        raise ConfigError(
            f"--allow is {allow_percent:g} percent; give {LEAST_ALLOW_PERCENT:g} to "
            f"{MOST_ALLOW_PERCENT:g}."
        )
    notes = different_subject(before, after, across_machines=across_machines)
    found = {one.id: one for one in after.series}
    causes = {*before.reasons, *after.reasons}
    changes = [
        _series_change(one, found.get(one.id), allow_percent, causes) for one in before.series
    ]
    if any(one.unstable_because for one in (*before.series, *after.series)):
        notes += _disturbances(before, names[0]) + _disturbances(after, names[1])
    known = {one.id for one in before.series}
    new = [f"{name} is in {names[1]} only" for name in found if name not in known]
    return Comparison(names[0], names[1], allow_percent, tuple(changes), (*notes, *new))


def _disturbances(document: Document, name: str) -> tuple[str, ...]:
    """What happened on the machine, which is the same for all series."""
    return (f"during {name} {'; '.join(document.reasons)}",) if document.reasons else ()


def _series_change(
    before: MeasuredSeries, after: MeasuredSeries | None, allow: float, causes: Container[str]
) -> SeriesChange:
    if after is None:
        why = "it was not measured any more; measure the same levels, modes and subjects"
        return SeriesChange(before.id, Verdict.NOT_COMPARABLE, why)
    for word, one in (("before", before), ("after", after)):
        if one.unstable_because:
            own = [why for why in one.unstable_because if why not in causes]
            why = f"{word} it was unstable: {'; '.join(own or one.unstable_because)}"
            return SeriesChange(before.id, Verdict.NOT_COMPARABLE, why)
    changes = tuple(_figures(before, after, allow))
    verdict, why = _verdict(changes, allow)
    return SeriesChange(before.id, verdict, why, changes)


def _figures(before: MeasuredSeries, after: MeasuredSeries, allow: float) -> Iterator[FigureChange]:
    """What a series of this mode is measured for; the first figure must be known."""
    old, new = before.series, after.series
    if old.mode == "offline":
        percent = change_of_rate(old, new)
        rates = (before.images_per_second, after.images_per_second)
        verdict = _verdict_of(percent, allow, more_is_better=True)
        yield FigureChange("images per second", "/s", *rates, percent, verdict)
        return
    for name in ("50", "99"):
        percent = change_of_percentile(old, new, float(name))
        missing = Refused(f"p{name} is not in the document")
        values = [one.percentiles_ms.get(name, missing) for one in (before, after)]
        yield FigureChange(
            f"p{name}", "ms", values[0], values[1], percent, _verdict_of(percent, allow)
        )


def _verdict_of(percent: Figure, allow: float, *, more_is_better: bool = False) -> Verdict:
    if isinstance(percent, Refused):
        return Verdict.NOT_COMPARABLE
    low, high = (-percent.high, -percent.low) if more_is_better else (percent.low, percent.high)
    if low > allow:
        return Verdict.SLOWER
    if high < -allow:
        return Verdict.FASTER
    # From -allow to +allow: in a wider interval a regression could hide.
    return Verdict.SAME if high - low <= 2 * allow else Verdict.NOT_COMPARABLE


def _verdict(changes: tuple[FigureChange, ...], allow: float) -> tuple[Verdict, str]:
    """Of a series: a tail alone can make it slower; to be the same the first figure suffices."""
    slower = [one for one in changes if one.verdict == Verdict.SLOWER]
    if slower:
        return Verdict.SLOWER, f"{_said(slower[0])}, more than the {allow:g} % allowed"
    first = changes[0]
    if isinstance(first.percent, Refused):
        return Verdict.NOT_COMPARABLE, first.percent.why
    if first.verdict == Verdict.NOT_COMPARABLE:
        return first.verdict, f"{_said(first)}: too wide to say; measure for longer"
    return first.verdict, _said(first)


def _said(change: FigureChange) -> str:
    percent = change.percent
    if isinstance(percent, Estimate):
        return f"{change.name} {percent.value:+.1f} % ({percent.low:+.1f} to {percent.high:+.1f})"
    return f"{change.name}: {percent.why}"
