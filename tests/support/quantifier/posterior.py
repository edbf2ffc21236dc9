"""Installs QuaPy outside of the checkout, and lets it compute the shares of slides."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.support.environments import environment

# Of 2026-10, under the BSD licence. QuaPy finds none of its Bayesian methods without pystan, which
# needs a setuptools with pkg_resources; JAX makes it 1 GB.
PACKAGES: Final = (
    "QuaPy==0.2.3",
    "jax==0.10.2",
    "jaxlib==0.10.2",
    "numpyro==0.22.0",
    "pystan==3.10.0",
    "setuptools<82",
)
_TIMEOUT_S: Final = 1800


def quapy_posteriors(slides: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each slide what `in_quapy.py` describes; about a minute each."""
    python = environment(PACKAGES) / "venv/bin/python"
    done = subprocess.run(
        ["nice", "-n", "10", python, Path(__file__).with_name("in_quapy.py")],
        input=json.dumps(
            [{key: slide[key] for key in ("labels", "validated")} for slide in slides]
        ),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
