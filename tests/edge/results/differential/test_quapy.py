"""The sampler against QuaPy's, which has the same model and another algorithm (NUTS of numpyro).

`quapy_posteriors.json` holds three simulated slides with what QuaPy answered.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.results.differential.gibbs import PRIOR, Labelled, Length, sample_true_counts
from tests.support.quantifier.posterior import quapy_posteriors

SLIDES: Final[list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("quapy_posteriors.json").read_text("utf-8")
)
MIXES: Final = ("normal", "left shift", "newborn")
QUANTILES: Final = (0.025, 0.25, 0.5, 0.75, 0.975)
LONG: Final = Length(chains=16, sweeps=2100, burn_in=100)
# Of the posterior's standard deviation: what 4,000 draws of QuaPy and 32,000 of ours leave open.
NOISE: Final = 0.2
# Of the share, where a standard deviation is next to nothing.
LEAST: Final = 0.0005


def drawn_shares(slide: dict[str, Any]) -> NDArray[np.float64]:
    """Shares of all cells by our sampler (draws, classes)."""

    def repeated(values: object) -> NDArray[np.int64]:
        array = np.array(values, np.int64)
        return np.broadcast_to(array, (LONG.chains, *array.shape))

    nobody_saw = [0] * len(slide["validated"])
    labelled = Labelled(
        repeated([slide["labels"]]), repeated(nobody_saw), repeated([slide["validated"]])
    )
    rng = np.random.default_rng(1)
    counts = sample_true_counts(labelled, rng, LONG).reshape(-1, len(nobody_saw))
    gamma = rng.standard_gamma(counts + PRIOR)
    return np.asarray(gamma / gamma.sum(axis=1, keepdims=True))


def noise(quapy: dict[str, Any]) -> NDArray[np.float64]:
    return NOISE * np.array(quapy["sd"]) + LEAST


@pytest.mark.parametrize("slide", SLIDES, ids=MIXES)
def test_sampler_on_a_slide_agrees_with_what_quapy_answered(slide: dict[str, Any]) -> None:
    shares, quapy = drawn_shares(slide), slide["quapy"]
    assert (abs(shares.mean(axis=0) - quapy["mean"]) < noise(quapy)).all()
    apart = abs(np.quantile(shares, QUANTILES, axis=0) - quapy["quantiles"])
    assert (apart < noise(quapy)).all(), apart / noise(quapy)


@pytest.mark.skipif(
    not os.environ.get("EDGE_FULL_TESTS"),
    reason="one of the long list: EDGE_FULL_TESTS=1 installs QuaPy with JAX (1 GB)",
)
# Installing and sampling, beside other work.
@pytest.mark.timeout(4800)
def test_quapy_asked_again_answers_as_it_did() -> None:
    for slide, again in zip(SLIDES, quapy_posteriors(SLIDES), strict=True):
        assert (abs(np.subtract(again["mean"], slide["quapy"]["mean"])) < noise(again)).all()
        apart = abs(np.subtract(again["quantiles"], slide["quapy"]["quantiles"]))
        assert (apart < noise(again)).all()
