"""Documents of schema edge-bench/2 made of given series, as if they had been measured."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import edge
from edge.bench.machine.conditions import watch
from edge.bench.machine.environment import environment
from edge.bench.report.document import series_fields
from edge.bench.statistics.series import Series
from edge.bench.statistics.stability import unstable_because
from tests.support.series import series_of

SCHEMA: dict[str, Any] = json.loads(
    (Path(edge.__file__).parent / "schemas" / "edge-bench-2.json").read_bytes()
)


def document_of(*series: Series, **fields: Any) -> dict[str, Any]:
    """A document with these series; `fields` take the place of others."""
    found = {
        "schema": "edge-bench/2",
        "created": "2026-11-28T12:00:00+00:00",
        "software": f"microscope-edge {edge.__version__}",
        "command": ["edge-bench", "cells8.edge"],
        "bundle": {"name": "cells8", "version": "2.1.0", "sha256": "b" * 64},
        "images": {"source": "drawn cells", "count": 64, "sha256": "1" * 64},
        "environment": _environment(),
        "conditions": _conditions(),
        "series": [fields_of(one) for one in series],
        "ratios": [],
        "against": [],
        "notes": [],
        **fields,
    }
    # As read from a file: nothing is shared, no tuples.
    copied: dict[str, Any] = json.loads(json.dumps(found))
    return copied


def fields_of(series: Series, **fields: Any) -> dict[str, Any]:
    """A series of the document."""
    return {**series_fields(series, unstable_because(series, None)), **fields}


def calm_series(
    median_ms: float = 2.0, *, seed: int = 1, count: int = 600, turn: int = 5, **fields: Any
) -> Series:
    """A series like that of a quiet machine: turns that differ by 2 %, samples by 3 %."""
    random = np.random.default_rng(seed)
    turns = np.repeat(random.lognormal(0.0, 0.02, -(-count // turn)), turn)[:count]
    durations = median_ms * turns * random.lognormal(0.0, 0.03, count)
    return series_of(durations, turn=turn, **fields)


@cache
def _conditions() -> dict[str, Any]:
    """Those of a calm machine, whatever this one does meanwhile."""
    with watch() as watched:
        pass
    return {**watched.conditions().to_dict(), "reasons": []}


@cache
def _environment() -> dict[str, Any]:
    return environment().to_dict()
