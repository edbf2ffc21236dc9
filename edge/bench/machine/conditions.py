"""Watches the machine during a measurement, to say afterwards what may have disturbed it."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

from edge.bench.machine.container import held_back_us
from edge.bench.machine.environment import frequency_mhz
from edge.bench.machine.kernel_files import KernelFiles, folders, number_of
from edge.bench.machine.nvml import POWER_CAP, Device
from edge.bench.machine.processor_time import ProcessorTime, processor_time

Count = TypeVar("Count", int, float)

# What is worth a line. Less than a tenth of the cores is what the services of any system use.
_OTHER_LOAD: Final = 0.10
# From here on durations are those of a crowded machine, however steady they are.
_OTHER_LOAD_SPOILS: Final = 0.50
_WAITED_PERCENT: Final = 2.0
_STEAL_PERCENT: Final = 1.0
# From here on the durations are the host's and not the program's.
_STEAL_SPOILS_PERCENT: Final = 10.0
_FREQUENCY_RATIO: Final = 1.10
_HELD_BACK_SHARE: Final = 0.005
_MAJOR_FAULTS: Final = 10
# Adjusting by NTP changes the clock by at most 0.5 ms in a second; setting it changes it at once.
_CLOCK_SET_S: Final = 0.1
_CLOCK_ADJUSTED: Final = 0.001
_SLEPT_S: Final = 0.01
# A look reads a file of each core, which may wake an idle one.
_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Conditions:
    """What happened on the machine from one moment to another; None where nobody counts.

    Args:
        seconds: how long was watched.
        cores: those that this process may use.
        other_load: cores that processes used which are neither this one nor its children.
        steal_percent: of all processor time, taken by the host for other guests.
        waited_percent: of the time in which this process's threads could run, without a processor.
        frequency_min_mhz: of the fastest core, lowest and highest of the looks.
        throttled: how often the processor became slower because it was hot.
        held_back_ms: how long the quota of a container or unit kept this process waiting.
        gpu_slowed_by: why the GPU's clocks were lower than they could be.
        major_faults: pages that had to be read from the disk.
        clock_set_s: by how much the wall clock was set.
        slept_s: how long the machine was suspended.
    """

    seconds: float
    cores: int
    other_load: float | None
    steal_percent: float | None
    waited_percent: float | None
    frequency_min_mhz: int | None
    frequency_max_mhz: int | None
    throttled: int | None
    held_back_ms: float | None
    gpu_slowed_by: tuple[str, ...]
    major_faults: int
    clock_set_s: float
    slept_s: float

    def reasons(self) -> tuple[str, ...]:
        """What may have disturbed the figures, one line each."""
        return (*self.disqualifying(), *self._lesser())

    def disqualifying(self) -> tuple[str, ...]:
        """What makes figures wrong even where they do not scatter, one line each."""
        found = []
        if self.throttled:
            found.append(f"the processor was hot and slowed down {self.throttled} times")
        if spoiling := [reason for reason in self.gpu_slowed_by if reason != POWER_CAP]:
            found.append(f"the GPU was slowed down by: {', '.join(spoiling)}")
        if (self.steal_percent or 0) >= _STEAL_SPOILS_PERCENT:
            found.append(self._stolen())
        if (self.other_load or 0) >= _OTHER_LOAD_SPOILS * self.cores:
            found.append(self._loaded())
        if self.slept_s > _SLEPT_S:
            found.append(f"the machine slept for {self.slept_s:.1f} s meanwhile")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """JSON types, with the reasons."""
        fields = {**asdict(self), "gpu_slowed_by": list(self.gpu_slowed_by)}
        return {**fields, "reasons": list(self.reasons())}

    def _lesser(self) -> Iterator[str]:
        if _OTHER_LOAD * self.cores < (self.other_load or 0) < _OTHER_LOAD_SPOILS * self.cores:
            yield self._loaded()
        if _STEAL_PERCENT <= (self.steal_percent or 0) < _STEAL_SPOILS_PERCENT:
            yield self._stolen()
        if (self.waited_percent or 0) > _WAITED_PERCENT:
            yield f"this process waited {self.waited_percent:.0f} % of its time for a processor"
        yield from self._frequency()
        # Under load this is how many GPUs always run.
        if POWER_CAP in self.gpu_slowed_by:
            yield "the GPU ran at its power limit"
        if (self.held_back_ms or 0) > _HELD_BACK_SHARE * self.seconds * 1e3:
            yield f"its quota of processor time held it back for {self.held_back_ms:,.0f} ms"
        if self.major_faults > _MAJOR_FAULTS:
            yield f"{self.major_faults} pages of memory were read from the disk meanwhile"
        if abs(self.clock_set_s) > _CLOCK_SET_S + _CLOCK_ADJUSTED * self.seconds:
            yield f"the clock was set by {self.clock_set_s:+.1f} s meanwhile"

    def _frequency(self) -> Iterator[str]:
        low, high = self.frequency_min_mhz, self.frequency_max_mhz
        if low and high and high > _FREQUENCY_RATIO * low:
            yield f"the processor ran at {low:,} to {high:,} MHz"

    def _loaded(self) -> str:
        return f"other processes used {self.other_load:.1f} of {self.cores} cores"

    def _stolen(self) -> str:
        return f"the host gave {self.steal_percent:.0f} % of the processor time to other guests"


@dataclass(frozen=True, slots=True)
class _Moment:
    """All counts at one moment."""

    monotonic_s: float
    boot_s: float
    wall_s: float
    time: ProcessorTime
    throttled: int | None
    held_back_us: int | None
    major_faults: int


class Watched:
    """The counts from `watch` on; `look` between two turns to see the frequency change."""

    def __init__(self, files: KernelFiles, gpu: Device | None) -> None:
        self._files = files
        self._gpu = gpu
        self._frequencies_mhz: list[int] = []
        self._slowed_by: dict[str, None] = {}
        self._looked_s = -_LOOK_S
        self._first = _moment(files)
        self._last: _Moment | None = None

    def look(self) -> None:
        """Note the frequency and why the GPU is slow; best right after work, before cores idle.

        It may be called as often as one likes: a look soon after another does nothing.
        """
        now_s = time.monotonic()
        if now_s >= self._looked_s + _LOOK_S:
            self._looked_s = now_s
            self._look()

    def _look(self) -> None:
        if frequency := frequency_mhz(self._files):
            self._frequencies_mhz.append(frequency)
        if self._gpu:
            self._slowed_by.update(dict.fromkeys(self._gpu.slowed_by()))

    def close(self) -> None:
        """Stop watching."""
        self._look()
        self._last = _moment(self._files)

    def conditions(self) -> Conditions:
        """What happened so far, or until the end of the watch."""
        first, last = self._first, self._last or _moment(self._files)
        seconds = last.monotonic_s - first.monotonic_s
        slept_s = last.boot_s - first.boot_s - seconds
        return Conditions(
            seconds=round(seconds, 3),
            cores=len(os.sched_getaffinity(0)),
            other_load=_other_load(first.time, last.time, seconds),
            steal_percent=_share(
                _grown(first.time.stolen_s, last.time.stolen_s),
                _grown(first.time.all_s, last.time.all_s),
            ),
            waited_percent=_waited(first.time, last.time),
            frequency_min_mhz=min(self._frequencies_mhz, default=None),
            frequency_max_mhz=max(self._frequencies_mhz, default=None),
            throttled=_grown(first.throttled, last.throttled),
            held_back_ms=_thousandth(_grown(first.held_back_us, last.held_back_us)),
            gpu_slowed_by=tuple(self._slowed_by),
            major_faults=last.major_faults - first.major_faults,
            # The wall clock goes on while the machine sleeps.
            clock_set_s=round(last.wall_s - first.wall_s - seconds - slept_s, 3),
            slept_s=round(max(0.0, slept_s), 3),
        )


@contextmanager
def watch(*, files: KernelFiles | None = None, gpu: Device | None = None) -> Iterator[Watched]:
    """Watch the machine until the end of the block.

    Args:
        files: where the kernel's files are.
        gpu: the GPU that works, if one does.
    """
    watched = Watched(files or KernelFiles(), gpu)
    try:
        yield watched
    finally:
        watched.close()


def _moment(files: KernelFiles) -> _Moment:
    return _Moment(
        monotonic_s=time.monotonic(),
        boot_s=time.clock_gettime(time.CLOCK_BOOTTIME),
        wall_s=time.time(),
        time=processor_time(files),
        throttled=_throttled(files),
        held_back_us=held_back_us(files),
        major_faults=resource.getrusage(resource.RUSAGE_SELF).ru_majflt,
    )


def _throttled(files: KernelFiles) -> int | None:
    cores = list(folders(files.sys / "devices/system/cpu", "cpu[0-9]*/thermal_throttle"))
    own = [number_of(core / "core_throttle_count") for core in cores]
    shared = [number_of(core / "package_throttle_count") for core in cores]
    # Each core of a package shows the package's count.
    known = [value for value in (*own, max((s or 0 for s in shared), default=0)) if value]
    return sum(known) if cores else None


def _other_load(first: ProcessorTime, last: ProcessorTime, seconds: float) -> float | None:
    busy_s = _grown(first.busy_s, last.busy_s)
    if busy_s is None or seconds <= 0:
        return None
    own_s = last.own_s - first.own_s
    return round(max(0.0, busy_s - own_s) / seconds, 2)


def _waited(first: ProcessorTime, last: ProcessorTime) -> float | None:
    waited_s = _grown(first.waited_s, last.waited_s)
    ran_s = _grown(first.ran_s, last.ran_s)
    return None if waited_s is None or ran_s is None else _share(waited_s, waited_s + ran_s)


def _grown(first: Count | None, last: Count | None) -> Count | None:
    """The growth of a counter, at least 0: some of the kernel's may fall; None if unknown."""
    return None if first is None or last is None else max(type(last)(0), last - first)


def _share(part: float | None, whole: float | None) -> float | None:
    """In percent; None if either is unknown or nothing was counted."""
    return None if part is None or not whole else round(100 * part / whole, 2)


def _thousandth(value: int | None) -> float | None:
    return None if value is None else value / 1000
