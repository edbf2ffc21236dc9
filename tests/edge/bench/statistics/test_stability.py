from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.bench.statistics.series import WarmUp
from edge.bench.statistics.stability import unstable_because
from tests.support.series import series_of

LOAD = "other processes used 1.5 of 2 cores"
HEAT = "the processor was hot and slowed down 3 times"


@dataclass(frozen=True)
class Watched:
    lesser: tuple[str, ...] = ()
    spoiling: tuple[str, ...] = ()

    def reasons(self) -> tuple[str, ...]:
        return (*self.spoiling, *self.lesser)

    def disqualifying(self) -> tuple[str, ...]:
        return self.spoiling


def calm(count: int = 200) -> NDArray[np.float64]:
    return np.random.default_rng(count).normal(2.0, 0.05, count)


def test_stability_of_calm_durations_is_given_without_a_reason() -> None:
    assert unstable_because(series_of(calm()), Watched()) == ()
    assert unstable_because(series_of(calm()), None) == ()


def test_stability_of_calm_durations_is_not_lost_by_the_load_of_others() -> None:
    assert unstable_because(series_of(calm()), Watched(lesser=(LOAD,))) == ()


def test_stability_of_calm_durations_is_lost_by_heat() -> None:
    assert unstable_because(series_of(calm()), Watched((LOAD,), (HEAT,))) == (HEAT,)


def test_stability_of_images_that_differ_is_given_if_the_turns_agree() -> None:
    # Large and small images in turn: the quartiles are 60 % apart, the turns' medians are not.
    durations = np.tile([1.0, 1.0, 2.0, 3.2, 3.2], 60) + calm(300) / 100
    assert unstable_because(series_of(durations), None) == ()


def test_stability_with_rare_stalls_is_given() -> None:
    durations = calm(1000)
    durations[::100] += 200.0
    assert unstable_because(series_of(durations), None) == ()


def test_stability_lost_by_spread_names_it_and_the_load() -> None:
    turns = np.random.default_rng(2).permutation(np.tile([2.0, 2.4, 2.8, 3.2], 20))
    found = unstable_because(series_of(np.repeat(turns, 5)), Watched(lesser=(LOAD,)))
    assert found[0].startswith("spread: the middle half of the blocks' medians covers ")
    assert found[-1] == LOAD


@pytest.mark.parametrize(("factor", "word"), [(1.25, "25 % slower"), (0.8, "20 % faster")])
def test_stability_lost_by_drift_says_which_half_was_slower(factor: float, word: str) -> None:
    durations = np.repeat([2.0, 2.0 * factor], 100)
    found = unstable_because(series_of(durations), None)
    assert found[0] == f"drift: the second half was {word} than the first"


def test_stability_lost_by_drift_within_a_single_turn_is_seen() -> None:
    durations = np.repeat([2.0, 3.0], 100)
    found = unstable_because(series_of(durations, turn=1000), None)
    assert found[0] == "drift: the second half was 50 % slower than the first"


def test_stability_of_five_samples_cannot_be_told_and_of_six_it_can() -> None:
    found = unstable_because(series_of([2.0] * 5), None)
    assert found == ("5 samples cannot show whether it is stable; that needs 6",)
    assert unstable_because(series_of([2.0] * 6), None) == ()
    # Six runs over all images, each one turn.
    assert unstable_because(series_of([2.0, 2.1, 1.9, 2.0, 2.0, 2.1], turn=1), None) == ()


def test_stability_of_two_modes_of_equal_weight_is_refused_as_uncertain() -> None:
    # Each turn has both modes, so the turns agree; but the median may be either.
    durations = np.tile([1.0, 9.0], 80)
    found = unstable_because(series_of(durations, turn=8), None)
    assert len(found) == 1
    assert found[0].startswith("the median lies anywhere from 1 to 9 ms: 160 samples are too few")


def test_stability_after_a_warm_up_that_did_not_settle_is_refused() -> None:
    warm_up = WarmUp(400, 3.0, is_stable=False)
    found = unstable_because(series_of(calm(), warm_up=warm_up), None)
    assert found == ("the warm-up of 400 calls in 3.0 s had not settled",)


def test_stability_of_durations_below_zero_is_refused() -> None:
    durations = calm()
    durations[7] = -3.0
    found = unstable_because(series_of(durations), None)
    assert found[0] == "the clock went back during a call: a duration is negative"


def test_stability_of_an_open_loop_that_keeps_up_is_given() -> None:
    # 100/s, answered in 2 ms each.
    series = series_of(
        calm(),
        mode="open_loop_constant",
        starts_ns=np.arange(200) * 10_000_000,
        offered_per_second=100.0,
    )
    assert unstable_because(series, None) == ()


def test_stability_of_an_open_loop_that_is_overloaded_names_the_rate() -> None:
    # 100/s, of which one takes 12.5 ms: each waits 2.5 ms longer than the one before.
    series = series_of(
        12.5 + 2.5 * np.arange(200),
        mode="open_loop_constant",
        starts_ns=np.arange(200) * 10_000_000,
        offered_per_second=100.0,
    )
    found = unstable_because(series, None)
    assert found[0].startswith("it could not keep up with 100/s: 200 images took 2.5 s")


def test_stability_of_bursts_that_repeat_each_other_is_given() -> None:
    # 40 images wait for each other, in each of ten slides, of which one takes 1 % longer.
    durations = np.tile(np.linspace(2.0, 80.0, 40), 10)
    durations[:40] *= 1.01
    series = series_of(
        durations,
        turn=40,
        mode="burst",
        starts_ns=np.repeat(np.arange(10) * 100_000_000, 40),
    )
    assert unstable_because(series, None) == ()


def test_stability_of_workers_whose_calls_are_listed_by_worker_is_seen_by_their_starts() -> None:
    # Two workers of one pass, at the same speed; it becomes slower for both in the second half.
    one = np.repeat([2.0, 3.0], 50)
    starts_ns = np.cumsum(np.concatenate([[0.0], one[:-1]])) * 1e6
    series = series_of(
        np.concatenate([one, one]),
        turn=1000,
        mode="offline",
        starts_ns=np.tile(starts_ns, 2).astype(np.int64),
    )
    assert unstable_because(series, None)[0].startswith("drift: the second half was 50 % slower")
