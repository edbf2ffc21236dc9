"""Joins the hours of a stream to hours or days of local time, as a picture shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from daemon.journal.streams import StreamHour

# Up to so many weeks the hours are shown; of more, they would be narrower than a point.
_HOURLY_WEEKS: Final = 2


@dataclass(frozen=True, slots=True)
class Period:
    """The time that is shown, in local time, from the beginning of a day until now."""

    begin: datetime
    end: datetime
    is_hourly: bool


@dataclass(frozen=True, slots=True)
class Bin:
    """The cells of an hour or a day.

    Attributes:
        began: its beginning, in local time.
        cells: number of cells.
        mean: of their clipped shifts.
        spread: standard deviation of those.
        unfamiliar: share of cells that do not look like the laboratory's own.
        alarmed: cells that came during an alarm.
        is_new_bundle: whether another bundle than before judged some of its cells.
    """

    began: datetime
    cells: int
    mean: float
    spread: float
    unfamiliar: float
    alarmed: int
    is_new_bundle: bool


def period_of(weeks: int, now: datetime) -> Period:
    """The last weeks until `now`, which has a time zone."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Period(day - timedelta(weeks=weeks), now, weeks <= _HOURLY_WEEKS)


def binned(hours: Sequence[StreamHour], period: Period) -> list[Bin]:
    """The bins that have cells, the oldest first.

    Args:
        hours: the oldest first.
        period: that is shown.
    """
    found: dict[datetime, list[StreamHour]] = {}
    for hour in hours:
        began = datetime.fromtimestamp(hour.began_s, UTC).astimezone(period.end.tzinfo)
        if not period.is_hourly:
            began = began.replace(hour=0)
        if began >= period.begin:
            found.setdefault(began.replace(minute=0), []).append(hour)
    bins = []
    before = hours[0].bundle_sha256 if hours else ""
    for began, parts in found.items():
        is_new = any(part.bundle_sha256 != before for part in parts)
        before = parts[-1].bundle_sha256
        bins.append(_joined(began, parts, is_new_bundle=is_new))
    return bins


def _joined(began: datetime, parts: Sequence[StreamHour], *, is_new_bundle: bool) -> Bin:
    cells = sum(part.cells for part in parts)
    mean = sum(part.shifts for part in parts) / cells
    variance = sum(part.squares for part in parts) / cells - mean * mean
    return Bin(
        began,
        cells,
        mean,
        math.sqrt(max(0.0, variance)),
        sum(part.unfamiliar for part in parts) / cells,
        sum(part.alarmed for part in parts),
        is_new_bundle,
    )
