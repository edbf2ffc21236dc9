"""The last weeks of each watch folder as a line of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from daemon.drift.bins import Bin, Period, binned
from daemon.journal.streams import StreamHistory
from edge.text.counted import counted
from edge.text.text_table import text_table
from edge.trust.drift import Drift

HEADING: Final = ("watch", "cells", "shift", "unlike", "alarms", "the weeks until now")
_BARS: Final = "▁▂▃▄▅▆▇█"
# The shifts of the lowest and the highest bar: below the laboratory's mean, and as clipped.
_LOW, _HIGH = -1.0, 4.0
_SPARKS: Final = 28


def lines_of(histories: Sequence[StreamHistory], period: Period) -> list[str]:
    """A table with a row for each folder, and a line on the state of each."""
    bins = [binned(history.hours, period) for history in histories]
    rows = [HEADING, *(_row(number, one, period) for number, one in enumerate(bins))]
    states = [
        f"watch[{number}]  {history.folder}: {state_text(history)}"
        for number, history in enumerate(histories)
    ]
    return [*text_table(rows, right=(1, 2, 3, 4)).splitlines(), "", *states]


def state_text(history: StreamHistory) -> str:
    """How the images of a folder look now, in one line."""
    stream = history.stream
    if stream is None:
        return "no cell has been judged yet"
    if stream.drift is None:
        return "the stored drift is damaged; it begins anew with the next cell"
    left_out = ""
    if history.damaged_hours:
        left_out = f"; {counted(history.damaged_hours, 'hour')} left out as damaged"
    return f"{drift_text(stream.drift)}{left_out}"


def drift_text(drift: Drift) -> str:
    """A state in words."""
    if not drift.cells:
        return "watched anew, no cell has been judged since"
    if drift.since_s is None:
        return f"like the laboratory's, {counted(drift.cells, 'cell')} since the watch began"
    since = datetime.fromtimestamp(drift.since_s, UTC).astimezone()
    cells = counted(drift.rising_cells, "cell")
    return f"DIFFERENT from the laboratory's since {since:%Y-%m-%d %H:%M} ({cells})"


def _row(number: int, bins: Sequence[Bin], period: Period) -> tuple[str, ...]:
    cells = sum(one.cells for one in bins)
    if not cells:
        return (f"watch[{number}]", "0", "", "", "", _sparkline(bins, period))
    mean = sum(one.mean * one.cells for one in bins) / cells
    unfamiliar = sum(one.unfamiliar * one.cells for one in bins) / cells
    return (
        f"watch[{number}]",
        f"{cells:,}",
        f"{mean:+.2f}",
        f"{unfamiliar:.1%}",
        str(_alarms(bins)),
        _sparkline(bins, period),
    )


def _alarms(bins: Sequence[Bin]) -> int:
    """How many stretches of bins have an alarm."""
    states = [one.alarmed > 0 for one in bins]
    return sum(now and not before for before, now in zip([False, *states], states, strict=False))


def _sparkline(bins: Sequence[Bin], period: Period) -> str:
    """The highest mean of each part of the period; a dot for a part without cells."""
    step = (period.end - period.begin) / _SPARKS
    highest: list[float | None] = [None] * _SPARKS
    for one in bins:
        part = min(_SPARKS - 1, int((one.began - period.begin) / step))
        before = highest[part]
        highest[part] = one.mean if before is None else max(before, one.mean)
    return "".join("·" if mean is None else _bar(mean) for mean in highest)


def _bar(mean: float) -> str:
    share = (mean - _LOW) / (_HIGH - _LOW)
    return _BARS[max(0, min(len(_BARS) - 1, int(share * len(_BARS))))]
