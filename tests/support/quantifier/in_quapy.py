"""The posterior of a slide's shares by QuaPy's `BayesianCC`; runs in QuaPy's own environment.

Reads {"labels", "validated"} as JSON and writes {"mean", "sd", "quantiles"} of each class's share.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import jax.numpy as jnp
import numpy as np
import numpyro
import quapy.method._bayesian as quapy

QUANTILES: Final = (0.025, 0.25, 0.5, 0.75, 0.975)
WARM_UP: Final = 1000
SAMPLES: Final = 4000
# Ours is 0.5 for each share and each error. QuaPy lets the shares' be chosen; the errors' is 1.
PRIOR: Final = 0.5


def posterior(labels: list[int], validated: list[list[int]]) -> dict[str, Any]:
    """Of a slide with these labels, by a model with this table of errors."""
    drawn = quapy.sample_posterior_bayesianCC(
        # QuaPy passes numpy's arrays on, which numpyro refuses while JAX traces its loop.
        jnp.asarray(labels, jnp.float32),
        # Half an image less makes the errors' prior of 1 ours: counts are only exponents there.
        jnp.asarray(validated, jnp.float32) - (1 - PRIOR),
        num_warmup=WARM_UP,
        num_samples=SAMPLES,
        alpha=np.full(len(validated), PRIOR),
        seed=1,
    )
    shares = np.asarray(drawn[quapy.P_TEST_Y], np.float64)
    return {
        "mean": shares.mean(axis=0).round(5).tolist(),
        "sd": shares.std(axis=0).round(5).tolist(),
        "quantiles": np.quantile(shares, QUANTILES, axis=0).round(5).tolist(),
    }


if __name__ == "__main__":
    # Of a count that is not whole, numpyro would only say that it is none.
    numpyro.enable_validation(is_validate=False)
    json.dump([posterior(**slide) for slide in json.load(sys.stdin)], sys.stdout)
