"""What one measurement of one subject leaves: every duration, in order, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.bench.statistics.names import Level, Mode

Nanoseconds: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The calls before the first sample, which no figure contains.

    `is_stable` says whether the durations had stopped to fall when the samples began.
    """

    calls: int
    seconds: float
    is_stable: bool


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The samples of one subject at one level in one mode; arrays have a value for each sample.

    Args:
        durations_ns: in the order of their starts, without the warm-up.
        starts_ns: since the start of the measurement; in open loops the intended starts.
        turns: the number of the interleaving turn that each sample belongs to.
        window_ns: wall time that this series was measured for: the sum of its turns.
        images_per_call: images in what one duration covers.
        threads: threads inside one inference.
        workers: requests that are served at the same time, by threads of the benchmark or workers
            of the daemon.
        offered_per_second: arrivals in open loops; None where answers set the pace.
        stages_ns: by stage, parts of the durations.

    Raises:
        ValueError: there is no sample, or an array has another number of values.
    """

    subject: str
    level: Level
    mode: Mode
    durations_ns: Nanoseconds
    starts_ns: Nanoseconds
    turns: Nanoseconds
    warm_up: WarmUp
    window_ns: int
    images_per_call: int = 1
    threads: int = 1
    workers: int = 1
    offered_per_second: float | None = None
    stages_ns: Mapping[str, Nanoseconds] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.durations_ns)
        others = (self.starts_ns, self.turns, *self.stages_ns.values())
        if count == 0 or any(len(values) != count for values in others):
            lengths = ", ".join(str(len(values)) for values in (self.durations_ns, *others))
            raise ValueError(f"{self.id} has arrays of {lengths} samples; give as many of each.")

    @property
    def id(self) -> str:
        """The name within a document, such as `image/single_stream/int8/x8/t2`."""
        parts = [self.level, self.mode, self.subject]
        if self.images_per_call != 1:
            parts.append(f"x{self.images_per_call}")
        if self.threads != 1:
            parts.append(f"t{self.threads}")
        if self.workers != 1:
            parts.append(f"w{self.workers}")
        if self.offered_per_second is not None:
            parts.append(f"{self.offered_per_second:g}ps")
        return "/".join(parts)
