"""Measurements of every kind, to look at their pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edge.bench.report.document import figure
from edge.bench.statistics.ratio import ratio
from edge.bench.statistics.series import Series
from edge.bench.statistics.stability import unstable_because
from tests.support.bench_document import calm_series, document_of
from tests.support.series import series_of

LARGE = 20_000


def small_document() -> dict[str, Any]:
    """Both precisions at two levels, with stages and ratios."""
    calls = [calm_series(1.2, level="call"), calm_series(3.1, seed=2, level="call", subject="fp32")]
    images = [staged(1.9, seed=3), staged(3.9, seed=4, subject="fp32")]
    return document_of(
        *calls, *images, ratios=[ratio_of(*calls), ratio_of(*images)], notes=["A note."]
    )


def large_document() -> dict[str, Any]:
    """Series of 20,000 samples with stalls, open loops, bursts, batches, and other back ends."""
    random = np.random.default_rng(1)
    stalled = calm_series(2.0, count=LARGE, turn=50).durations_ns / 1e6
    stalled[random.random(LARGE) < 0.003] *= 80.0
    evenly_ns = np.arange(LARGE) * 10_000_000
    burst = np.tile(np.linspace(2.0, 400.0, 200), 8) * np.repeat(random.lognormal(0, 0.02, 8), 200)
    return document_of(
        staged(1.9, count=LARGE),
        *(series_of(stalled * factor, turn=50, subject=name, level="call")
          for name, factor in (("int8", 1.0), ("torch", 8.0), ("openvino", 2.0))),
        *(series_of(stalled, mode="open_loop_poisson", turn=LARGE, starts_ns=evenly_ns,
                    offered_per_second=rate) for rate in (50.0, 100.0)),
        *(calm_series(1.2 * batch**0.8, level="engine", images_per_call=batch, threads=threads)
          for batch in (1, 4, 16) for threads in (1, 2)),
        *(calm_series(2.0 / workers, level="image", mode="offline", workers=workers)
          for workers in (1, 2)),
        series_of(burst, mode="burst", turn=200,
                  starts_ns=np.repeat(np.arange(8) * 500_000_000, 200)),
        against=[
            {"subject": "openvino", "ran": True, "why_not": None, "version": "2026.1",
             "labels_compared": 64, "labels_equal": 63},
            {"subject": "tensorrt", "ran": False, "why_not": "no NVIDIA driver", "version": None,
             "labels_compared": 0, "labels_equal": 0},
        ],
    )  # fmt: skip


def unstable_document() -> dict[str, Any]:
    """Two series, one drifting and one scattered, on a machine that others use."""
    drifting = series_of(np.linspace(3.0, 6.0, 300), level="call", subject="fp32")
    turns = np.random.default_rng(2).permutation(np.tile([2.0, 2.6, 3.4, 2.2, 5.0], 12))
    scattered = series_of(np.repeat(turns, 5), level="call")
    found = document_of(drifting, scattered, ratios=[ratio_of(scattered, drifting)])
    found["conditions"]["reasons"] = ["other processes used 1.6 of 2 cores"]
    return found


def file_document() -> dict[str, Any]:
    """The file level alone: seven passes over 2,000 images, and images that arrive."""
    passes = 4900.0 * np.random.default_rng(3).lognormal(0.0, 0.03, 7)
    return document_of(
        series_of(passes, level="file", mode="offline", turn=1, images_per_call=2000),
        series_of(
            5.0 + np.random.default_rng(4).exponential(0.8, 600),
            level="file",
            mode="open_loop_constant",
            turn=600,
            starts_ns=np.arange(600) * 50_000_000,
            offered_per_second=20.0,
        ),
    )


def empty_document() -> dict[str, Any]:
    """Nothing could be measured."""
    return document_of()


DOCUMENTS = {
    "small": small_document,
    "large": large_document,
    "unstable": unstable_document,
    "file": file_document,
    "empty": empty_document,
}


def staged(median_ms: float, **fields: Any) -> Series:
    """A calm series with three stages that leave a rest."""
    series = calm_series(median_ms, **fields)
    part = series.durations_ns // 4
    return replace(series, stages_ns={"decode": part, "preprocess": part // 2, "infer": 2 * part})


def ratio_of(below: Series, above: Series) -> dict[str, Any]:
    """The ratio of two series as the document has it."""
    reasons = (*unstable_because(above, None), *unstable_because(below, None))
    estimate = figure(ratio(above, below, reasons=reasons))
    return {"of": above.id, "to": below.id, "what": "median latency", "estimate": estimate}
