"""What is measured, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from edge.bench.measure.clock import Clock
from edge.bench.statistics.names import Level
from edge.bench.statistics.series import Series
from edge.text.progress import OnCount

# Nanoseconds of each stage of one call, by name; empty where a call has no stages.
Stages: TypeAlias = Mapping[str, int]


def _prepare_nothing(_number: int) -> None:
    pass


def no_stages(_returned: object, _duration_ns: int) -> Stages:
    """For calls without stages."""
    return {}


@dataclass(frozen=True, slots=True)
class Task:
    """A request of one subject at one level.

    Attributes:
        subject: such as `int8`.
        run: makes the request with that number. Several threads may call it at the same time, with
            different numbers.
        stages: after the measurement, the stages of a call from what `run` returned and its
            duration in nanoseconds.
        prepare: called before each request of a single stream; its time is not counted.
        images_per_call: images in one request.
        threads: threads inside one inference.
    """

    subject: str
    level: Level
    run: Callable[[int], Any]
    stages: Callable[[Any, int], Stages] = no_stages
    prepare: Callable[[int], None] = _prepare_nothing
    images_per_call: int = 1
    threads: int = 1


def _show_nothing(_done: int, _total: int) -> None:
    pass


def _wait_for_nothing() -> None:
    pass


def _no_joules() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Instruments:
    """What a measurement is made with.

    Attributes:
        on_warm_up: called with (done, total) subjects that are warm.
        on_progress: called with (done, total) between the turns: seconds, samples or requests.
        joules: the energy taken since any zero; None where it is not counted.
        before_turn: called before each turn of a single stream, to wait until other threads rest.
    """

    clock: Clock
    on_warm_up: OnCount = _show_nothing
    on_progress: OnCount = _show_nothing
    joules: Callable[[], float | None] = _no_joules
    before_turn: Callable[[], object] = _wait_for_nothing


class Energy:
    """The joules of one subject's turns."""

    def __init__(self, instruments: Instruments) -> None:
        self._read = instruments.joules
        self.joules: float | None = 0.0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Count what is taken in the block."""
        before = self._read()
        yield
        after = self._read()
        if before is None or after is None or self.joules is None:
            self.joules = None
        else:
            self.joules += after - before


@dataclass(frozen=True, slots=True)
class Measured:
    """The series, and what a reader of them has to know, one line each.

    Attributes:
        joules: the energy of each series by its id, where it was counted.
    """

    series: tuple[Series, ...]
    notes: tuple[str, ...] = ()
    joules: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: Measured) -> Measured:
        """Both together."""
        return Measured(
            self.series + other.series, self.notes + other.notes, {**self.joules, **other.joules}
        )


def measured(found: Sequence[tuple[Series, Energy]], notes: Sequence[str] = ()) -> Measured:
    """Series with the energy of each."""
    joules = {series.id: energy.joules for series, energy in found if energy.joules is not None}
    return Measured(tuple(series for series, _ in found), tuple(notes), joules)
