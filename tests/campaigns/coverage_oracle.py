"""Compares the intervals of a differential with those of QuaPy's Bayesian quantification.

    pip install "quapy[bayes]" && python -m tests.campaigns.coverage_oracle [--slides 12]

QuaPy 0.2.3 samples the same model (Ziegler and Czyz, arXiv 2302.09159) by Hamiltonian Monte Carlo,
with the prior Dirichlet(1) in place of 0.5; the sampler here is given the same for the comparison.
Not in the test run: QuaPy needs JAX and scikit-learn. Exits with 1 where means of the shares differ
by more than 0.5 points or limits by more than 1.5.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from types import SimpleNamespace
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from edge.results.differential import gibbs
from edge.results.differential.gibbs import Labelled, Length, sample_true_counts
from edge.results.differential.true_shares import counted
from tests.campaigns.coverage import MIXES, SIZES, Scene, simulate

LENGTH = Length(chains=16, sweeps=2000, burn_in=200)


def ours(labelled: Labelled) -> NDArray[np.float64]:
    """Shares of all cells by class (draws, classes), with the prior Dirichlet(1)."""
    rng = np.random.default_rng(1)
    chains = Labelled(
        *(
            np.repeat(getattr(labelled, name)[np.newaxis], LENGTH.chains, axis=0)
            for name in ("unseen", "known", "validated")
        )
    )
    with mock.patch.object(gibbs, "PRIOR", 1.0):
        counts = sample_true_counts(chains, rng, LENGTH)
    drawn = rng.standard_gamma(counts.reshape(-1, counts.shape[-1]) + 1.0)
    return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))


def quapys(labelled: Labelled) -> NDArray[np.float64]:
    """The same of QuaPy."""
    bayesian = import_module("quapy.method._bayesian")
    # QuaPy sums the labels by JAX, and numpyro 0.22 refuses a number of cells that JAX traces.
    jnp = SimpleNamespace(**{**vars(bayesian.jnp), "sum": np.sum})
    with mock.patch.object(bayesian, "jnp", jnp):
        samples = bayesian.sample_posterior(
            labelled.unseen[0], labelled.validated[0], num_warmup=500, num_samples=4000, seed=1
        )
    return np.asarray(samples[bayesian.P_TEST_Y])


def main() -> int:
    """Compare slide after slide; 1 where the two differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=12)
    arguments = parser.parse_args()
    worst_mean = worst_limit = 0.0
    for number in range(arguments.slides):
        mix, size = list(MIXES)[number % len(MIXES)], SIZES[number // 2 % len(SIZES)]
        cells, errors = simulate(Scene(mix, size, 200, "none"), np.random.default_rng(number))
        labelled = counted(cells, errors)
        found = [100 * sample(labelled) for sample in (ours, quapys)]
        means, limits = (
            np.abs(one - other).max()
            for one, other in (
                [shares.mean(axis=0) for shares in found],
                [np.quantile(shares, (0.025, 0.975), axis=0) for shares in found],
            )
        )
        sys.stdout.write(f"{mix:14}{size:6} means {means:.2f}, limits {limits:.2f} points apart\n")
        sys.stdout.flush()
        worst_mean, worst_limit = max(worst_mean, float(means)), max(worst_limit, float(limits))
    return int(worst_mean > 0.5 or worst_limit > 1.5)


if __name__ == "__main__":
    sys.exit(main())
