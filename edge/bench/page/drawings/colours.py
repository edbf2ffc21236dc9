"""Gives every subject of a document one colour, on all of its drawings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.bench.page.elements.names import short_name
from edge.bench.reading.document import MeasuredSeries

# The style sheet has as many; further subjects begin again.
_COLOURS = 8
# Lines of the same colour differ by their dashes.
_DASHES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Coloured:
    """A series with its name within its drawing and the classes that give its colour."""

    measured: MeasuredSeries
    name: str
    colour: str
    durations_ms: NDArray[np.float64]

    @property
    def moments_s(self) -> NDArray[np.float64]:
        """Seconds from the measurement's start to each start; in bursts, to each answer."""
        series = self.measured.series
        # All images of a burst start at the same moment.
        from_start_ns = series.durations_ns if series.mode == "burst" else 0
        seconds: NDArray[np.float64] = (series.starts_ns + from_start_ns) / 1e9
        return seconds


def coloured(series: Sequence[MeasuredSeries], subjects: Sequence[str]) -> list[Coloured]:
    """The series of one drawing; `subjects` are those of the whole document."""
    used: dict[str, int] = {}
    found = []
    for one in series:
        subject = one.series.subject
        dash = used.setdefault(subject, 0) % _DASHES
        used[subject] += 1
        colour = f"c{subjects.index(subject) % _COLOURS + 1} d{dash}"
        durations_ms = one.series.durations_ns / 1e6
        found.append(Coloured(one, short_name(one.series), colour, durations_ms))
    return found


def part_colours(names: Iterable[str]) -> dict[str, str]:
    """A class for each part of a whole, such as the stages of a call."""
    return {name: f"t{number % _COLOURS + 1}" for number, name in enumerate(names)}
