from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import lgamma
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.results.differential.gibbs import Counts, Labelled, Length, sample_true_counts
from edge.results.differential.true_shares import share_limits

SHORT = Length(chains=8, sweeps=400, burn_in=50)


def sampled(
    unseen: list[int], known: list[int], validated: list[list[int]], seed: int = 1
) -> Counts:
    """Of one graph: (kept sweeps, chains, classes)."""

    def repeated(values: object) -> NDArray[np.int64]:
        array = np.array(values, np.int64)
        return np.broadcast_to(array, (SHORT.chains, *array.shape))

    labelled = Labelled(repeated([unseen]), repeated(known), repeated([validated]))
    return sample_true_counts(labelled, np.random.default_rng(seed), SHORT)


def exact_cumulative(
    unseen: Sequence[Sequence[int]],
    known: Sequence[int],
    validated: Sequence[Sequence[Sequence[int]]],
) -> NDArray[np.float64]:
    """P(at most i cells are of the first of two classes), by counting all ways.

    Given how many cells of each label are of the first class, shares and errors integrate to
    Dirichlet functions. Arguments are those of `Labelled`, of one chain.
    """
    labels = [count for of_graph in unseen for count in of_graph]
    logs: dict[int, list[float]] = {}
    for way in product(*(range(count + 1) for count in labels)):
        first = known[0] + sum(way)
        second = sum(known) + sum(labels) - first
        log = sum(log_choose(*pair) for pair in zip(labels, way, strict=True))
        log += log_dirichlet([first, second])
        left = iter(zip(labels, way, strict=True))
        for of_graph, (row, other) in zip(unseen, validated, strict=True):
            here = [next(left) for _ in of_graph]
            log += log_dirichlet([n + k for n, (_, k) in zip(row, here, strict=True)])
            log += log_dirichlet([n + y - k for n, (y, k) in zip(other, here, strict=True)])
        logs.setdefault(first, []).append(log)
    found = np.zeros(sum(known) + sum(labels) + 1)
    highest = max(max(of_count) for of_count in logs.values())
    for count, of_count in logs.items():
        found[count] = np.exp(np.array(of_count) - highest).sum()
    return np.asarray(found.cumsum() / found.sum())


def log_choose(total: int, count: int) -> float:
    return lgamma(total + 1) - lgamma(count + 1) - lgamma(total - count + 1)


def log_dirichlet(counts: Sequence[int]) -> float:
    """Of the Dirichlet function of the counts, with half a cell each."""
    return sum(lgamma(n + 0.5) for n in counts) - lgamma(sum(counts) + 0.5 * len(counts))


# Labels of the unseen cells by graph, known cells, and each graph's table.
EXACT_CASES: Final = {
    "clear": ([[30, 10]], [0, 0], [[[25, 5], [3, 27]]]),
    "mostly the second": ([[6, 34]], [0, 0], [[[25, 5], [3, 27]]]),
    "one label alone": ([[20, 0]], [0, 0], [[[25, 5], [3, 27]]]),
    "unidentified": ([[12, 7, 4]], [0, 0], [[[40, 2, 8], [1, 30, 2]]]),
    "hardly validated": ([[15, 9]], [0, 0], [[[9, 1], [1, 7]]]),
    "known cells": ([[12, 7, 4]], [5, 2], [[[40, 2, 8], [1, 30, 2]]]),
    "two graphs": ([[8, 3], [2, 9]], [1, 0], [[[18, 2], [1, 19]], [[9, 6], [4, 11]]]),
}


@pytest.mark.parametrize("case", EXACT_CASES.values(), ids=EXACT_CASES)
def test_sampler_agrees_with_the_exact_posterior(
    case: tuple[list[list[int]], list[int], list[list[list[int]]]],
) -> None:
    length = Length(chains=16, sweeps=2100, burn_in=100)
    labelled = Labelled(*(np.stack([np.array(part)] * length.chains) for part in case))
    counts = sample_true_counts(labelled, np.random.default_rng(1), length)[..., 0].ravel()
    exact = exact_cumulative(*case)
    drawn = np.bincount(counts, minlength=len(exact)).cumsum() / len(counts)
    # 32,000 draws, of which many follow from each other.
    assert abs(drawn - exact).max() < 0.025


def test_sampler_keeps_all_cells_and_the_known_ones() -> None:
    counts = sampled([10, 5, 3], [4, 0], [[20, 1, 1], [1, 20, 1]])
    assert counts.shape == (350, SHORT.chains, 2)
    assert (counts.sum(axis=-1) == 22).all()
    assert counts[..., 0].min() >= 4


def test_sampler_without_unseen_cells_gives_the_known_ones() -> None:
    counts = sampled([0, 0, 0], [4, 7], [[20, 1, 1], [1, 20, 1]])
    assert (counts == [4, 7]).all()


def test_chains_from_far_apart_come_to_the_same_shares() -> None:
    counts = sampled([110, 90, 6], [0, 0], [[90, 8, 2], [3, 95, 2]])
    shares = counts[..., 0] / 206
    within, between = shares.var(axis=0, ddof=1).mean(), shares.mean(axis=0).var(ddof=1)
    # Gelman and Rubin's potential scale reduction.
    assert np.sqrt(1 + between / within) < 1.05


def test_sampler_is_blind_to_the_order_of_the_labels() -> None:
    """Labels beyond the classes and those of a class go through the same code."""
    straight = sampled([40, 10], [0, 0], [[45, 5], [2, 48]])
    turned = sampled([10, 40], [0, 0], [[48, 2], [5, 45]])
    assert straight[..., 0].mean() == pytest.approx(turned[..., 1].mean(), abs=0.5)


def of_counts(counts: list[int], known: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    drawn = np.broadcast_to(np.array(counts), (60_000, 8))
    return share_limits(drawn, known, np.random.default_rng(1))


def test_limits_of_known_cells_are_those_of_clopper_and_pearson() -> None:
    """10 of 200: 2.42 to 9.00 %; 0 of 200: 0 to 1.83 %, published."""
    low, high = of_counts([180, 10, 0, 5, 5, 0, 10, 3], known=1)
    assert low[1] == pytest.approx(0.0242, abs=0.001)
    assert high[1] == pytest.approx(0.0900, abs=0.001)
    assert (low[2], high[2]) == (0, pytest.approx(0.0183, abs=0.001))
    # Of 10 erythroblasts beside 200 leukocytes: 10 of 210 is 2.31 to 8.58 %.
    assert low[6] == pytest.approx(0.0231 / 0.9769, abs=0.001)
    assert high[6] == pytest.approx(0.0858 / 0.9142, abs=0.001)


def test_limits_of_unseen_cells_are_those_of_jeffreys() -> None:
    """10 of 200: 2.59 to 8.70 %, of Beta(10.5, 190.5)."""
    low, high = of_counts([180, 10, 0, 5, 5, 0, 10, 3], known=0)
    assert low[1] == pytest.approx(0.0259, abs=0.001)
    assert high[1] == pytest.approx(0.0870, abs=0.001)


def test_limits_without_leukocytes_are_finite() -> None:
    low, high = of_counts([0, 0, 0, 0, 0, 0, 9, 3], known=0.9999)
    assert np.isfinite([*low, *high]).all()
