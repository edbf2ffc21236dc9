"""The days that are looked at, and the week of a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Period:
    """From one day to another, both of them in it; None: without an end on that side.

    The day of a moment is that of its own offset: where the person signed.
    """

    since: date | None = None
    until: date | None = None

    def __contains__(self, moment: datetime) -> bool:
        day = moment.date()
        return (self.since is None or day >= self.since) and (
            self.until is None or day <= self.until
        )


def week_of(moment: datetime) -> str:
    """The week by ISO 8601, such as 2026-W47."""
    year, week, _ = moment.isocalendar()
    return f"{year}-W{week:02}"
