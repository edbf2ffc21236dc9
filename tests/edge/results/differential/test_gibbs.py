from __future__ import annotations

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


def exact_posterior(unseen: list[int], validated: list[list[int]]) -> NDArray[np.float64]:
    """Mean share of the first of two classes among the cells, by a grid over the share and errors.

    With two labels, P(first label) = p a + (1 - p) b; the priors are Beta(0.5, 0.5) and
    Beta(validated + 0.5).
    """
    grid = (np.arange(80) + 0.5) / 80
    p, a, b = np.meshgrid(grid, grid, grid, indexing="ij")
    (a1, a2), (b1, b2) = validated
    label = p * a + (1 - p) * b
    log = (
        unseen[0] * np.log(label)
        + unseen[1] * np.log1p(-label)
        + -0.5 * (np.log(p) + np.log1p(-p))
        + (a1 - 0.5) * np.log(a)
        + (a2 - 0.5) * np.log1p(-a)
        + (b1 - 0.5) * np.log(b)
        + (b2 - 0.5) * np.log1p(-b)
    )
    weight = np.exp(log - log.max())
    # A cell of the first label is of the first class with probability p a / label.
    first = unseen[0] * p * a / label + unseen[1] * p * (1 - a) / (1 - label)
    return np.asarray((weight * first).sum() / weight.sum() / sum(unseen))


@pytest.mark.parametrize("unseen", [[30, 10], [6, 34], [20, 0]])
def test_sampler_agrees_with_the_posterior_on_a_grid(unseen: list[int]) -> None:
    validated = [[25, 5], [3, 27]]
    counts = sampled(unseen, [0, 0], validated)
    mean = counts[..., 0].mean() / sum(unseen)
    assert mean == pytest.approx(exact_posterior(unseen, validated), abs=0.02)


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
