"""Says why a repeated measurement might not give the same figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.bench.statistics.blocks import Blocks, blocks_of
from edge.bench.statistics.bootstrap import FEWEST_BLOCKS
from edge.bench.statistics.percentiles import Estimate, percentile_of
from edge.bench.statistics.series import Series
from edge.text.counted import counted

# pyperf warns at a standard deviation of 10 % of the mean, perf_analyzer waits for three windows
# within 10 % of each other.
_LIMIT: Final = 0.10
# An open loop that answered less than this share of what arrived was overloaded.
_KEPT_UP: Final = 0.97


class WatchedConditions(Protocol):
    """What happened on the machine meanwhile: `edge.bench.machine.conditions.Conditions`."""

    def reasons(self) -> tuple[str, ...]:
        """What may have disturbed the figures, one line each."""
        ...

    def disqualifying(self) -> tuple[str, ...]:
        """Those of the reasons that make figures wrong even where these do not scatter."""
        ...


def unstable_because(series: Series, conditions: WatchedConditions | None) -> tuple[str, ...]:
    """Why the median of a series cannot be relied on, one line each; empty if it is stable.

    Durations may differ within a turn, because images and tails differ; that is no fault of a
    measurement. Unstable is a median that has moved from turn to turn or from the first half to
    the second, or of which the samples do not say enough. What happened on the machine is added as
    the likely cause; throttling, sleep, stolen time and a crowded machine are reasons of their own.

    Args:
        series: the samples.
        conditions: what was watched meanwhile; None if nothing was.
    """
    symptoms = [*_faults_of_the_clock(series), *_symptoms(series)]
    if conditions is None:
        return tuple(symptoms)
    causes = conditions.reasons() if symptoms else conditions.disqualifying()
    return tuple(dict.fromkeys([*symptoms, *causes]))


def _symptoms(series: Series) -> Iterator[str]:
    if len(series.durations_ns) < FEWEST_BLOCKS:
        found = counted(len(series.durations_ns), "sample")
        yield f"{found} cannot show whether it is stable; that needs {FEWEST_BLOCKS}"
        return
    if not series.warm_up.is_stable:
        yield (
            f"the warm-up of {counted(series.warm_up.calls, 'call')} in "
            f"{series.warm_up.seconds:.1f} s had not settled"
        )
    blocks = blocks_of(series)
    yield from _overload(series)
    # Drift spreads the turns as well, and both widen the median's interval: one line says it.
    yield from list(_drift(blocks)) or list(_spread(blocks)) or _uncertain(series)


def _faults_of_the_clock(series: Series) -> Iterator[str]:
    if series.durations_ns.min() < 0:
        yield "the clock went back during a call: a duration is negative"


def _overload(series: Series) -> Iterator[str]:
    offered = series.offered_per_second
    if offered is None:
        return
    # The window ends with the last answer, so a queue that has grown makes it longer.
    ends_ns = series.starts_ns + series.durations_ns
    span_s = float(ends_ns.max() - series.starts_ns.min()) / 1e9
    arrivals_s = len(series.starts_ns) / offered
    if arrivals_s < _KEPT_UP * span_s and _grew(series):
        yield (
            f"it could not keep up with {offered:g}/s: {len(series.starts_ns):,} images took "
            f"{span_s:.1f} s, and the queue grew until the end"
        )


def _grew(series: Series) -> bool:
    """Whether the last tenth waited longer than the others, as in a queue that only grows."""
    tenth = max(1, len(series.durations_ns) // 10)
    return bool(
        np.median(series.durations_ns[-tenth:]) > np.percentile(series.durations_ns[:-tenth], 90)
    )


def _drift(blocks: Blocks) -> Iterator[str]:
    medians = blocks.medians_ns
    half = len(medians) // 2
    # Drift needs two halves, each with quartiles of its own.
    if len(medians) < FEWEST_BLOCKS:
        return
    first, second = medians[:half], medians[-half:]
    change = _relative(float(np.median(second) - np.median(first)), float(np.median(first)))
    # Halves that lie among each other are spread and no drift.
    if abs(change) > _LIMIT and _is_outside(first, second) and _is_outside(second, first):
        word = "slower" if change > 0 else "faster"
        yield f"drift: the second half was {100 * abs(change):.0f} % {word} than the first"


def _is_outside(values: NDArray[np.float64], of: NDArray[np.float64]) -> bool:
    """Whether the median of one half lies outside of the other's quartiles."""
    low, high = np.percentile(of, [25, 75])
    return not low <= np.median(values) <= high


def _spread(blocks: Blocks) -> Iterator[str]:
    low, middle, high = np.percentile(blocks.medians_ns, [25, 50, 75])
    spread = _relative(float(high - low), float(middle))
    if spread > _LIMIT:
        yield (
            f"spread: the middle half of the blocks' medians covers {100 * spread:.0f} % of the "
            f"median ({100 * _LIMIT:.0f} % is the limit)"
        )


def _uncertain(series: Series) -> Iterator[str]:
    median = percentile_of(series, 50)
    # Within a burst each image waits for those before it; that is no uncertainty.
    if series.mode == "burst" or not isinstance(median, Estimate):
        return
    width = _relative(median.high - median.low, median.value)
    if width > 2 * _LIMIT:
        yield (
            f"the median lies anywhere from {median.low:.3g} to {median.high:.3g} ms: "
            f"{len(series.durations_ns):,} samples are too few for durations that differ so much"
        )


def _relative(difference: float, of: float) -> float:
    return difference / of if of > 0 else 0.0
