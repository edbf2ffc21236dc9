"""The table is made from a document alone; documents here are made from known samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.bench.machine.conditions import watch
from edge.bench.machine.environment import environment
from edge.bench.measure.task import Measured
from edge.bench.report.document import Facts, document
from edge.bench.report.table import table
from edge.bench.report.words import number
from edge.bench.statistics.series import Series, WarmUp
from edge.bundle import load_bundle
from edge.text.wrapped import WIDTH
from tests.support.images import Jpeg
from tests.support.small_bundle import write_small_bundle

MS = 1_000_000


def series(subject: str, median_ms: float, count: int = 500, **settings: Any) -> Series:
    """Durations that alternate closely about the median, ten to a turn."""
    wave = 1 + 0.01 * (np.arange(count) % 3 - 1)
    durations_ns = np.rint(median_ms * MS * wave).astype(np.int64)
    return Series(
        **{
            "subject": subject,
            "level": "image",
            "mode": "single_stream",
            "durations_ns": durations_ns,
            "starts_ns": np.cumsum(durations_ns) - durations_ns,
            "turns": np.arange(count, dtype=np.int64) // 10,
            "warm_up": WarmUp(9, 0.5, is_stable=True),
            "window_ns": int(durations_ns.sum()),
            **settings,
        }
    )


def document_of(tmp_path: Any, jpeg: Jpeg, *found: Series, **settings: Any) -> dict[str, Any]:
    bundle = load_bundle(write_small_bundle(tmp_path / "small.edge", jpeg))
    with watch() as watched:
        pass
    facts = Facts(
        command=["edge-bench", "/home/someone/small.edge"],
        bundle=bundle,
        images=[bundle.root / bundle.golden[0].path],
        are_own=False,
        environment=environment(),
        # Of a machine at rest, whatever else runs while this is tested.
        conditions=replace(watched.conditions(), other_load=0.0, steal_percent=0.0),
        **settings,
    )
    return document(Measured(found), facts)


def test_table_gives_each_figure_its_level_and_its_interval(
    tmp_path: Any, colour_jpeg: Jpeg
) -> None:
    found = document_of(tmp_path, colour_jpeg, series("fp32", 8), series("int8", 2))
    text = table(found)
    assert "image level               p50 ms" in text
    assert "for p99.9 of every series measure 9.3 times as long" in " ".join(text.split())
    row = next(line for line in text.splitlines() if line.startswith("  int8"))
    assert row.split() == ["int8", "2.00", "2.02", "2.02", "needs", "4,603", "500"]
    assert "int8 at image level is 4.00 times as fast as fp32 at image level" in text
    assert "(median latency, 95% interval 4.00 to 4.00)" in " ".join(text.split())
    assert "unstable" not in text
    assert found["command"] == ["edge-bench", "small.edge"]


def test_table_of_unstable_figures_gives_no_ratio_and_says_why(
    tmp_path: Any, colour_jpeg: Jpeg
) -> None:
    cold = series("int8", 2, warm_up=WarmUp(9, 5.0, is_stable=False))
    text = table(document_of(tmp_path, colour_jpeg, series("fp32", 8), cold))
    assert "no ratio of int8 at image level to fp32 at image level" in text
    assert "- int8 at image level: the warm-up of 9 calls in 5.0 s had not settled" in text
    assert "unstable: these figures may come out differently the next time" in text


def test_table_names_what_differs_between_series(tmp_path: Any, colour_jpeg: Jpeg) -> None:
    wide = series("int8", 16, images_per_call=8, threads=2)
    text = table(document_of(tmp_path, colour_jpeg, series("int8", 2), wide))
    assert "\n  int8, x8, 2 " in text
    # 8 images in 16 ms.
    assert "500" in next(x for x in text.splitlines() if "x8" in x)


def test_table_tells_stages_for_each_image(tmp_path: Any, colour_jpeg: Jpeg) -> None:
    stages = {"decode": np.full(500, 4 * MS, np.int64), "infer": np.full(500, 12 * MS, np.int64)}
    wide = series("int8", 16, images_per_call=8, stages_ns=stages)
    text = table(document_of(tmp_path, colour_jpeg, wide))
    assert "median ms per image: decode 0.500, infer 1.50" in text


def test_table_tells_a_stage_between_the_calls_as_such(tmp_path: Any, colour_jpeg: Jpeg) -> None:
    stages = {"infer": np.full(500, 2 * MS, np.int64), "sidecar": np.full(500, 17 * MS, np.int64)}
    text = table(document_of(tmp_path, colour_jpeg, series("int8", 2, stages_ns=stages)))
    assert "infer 2.00, and beside it sidecar 17.0" in " ".join(text.split())


def test_table_tells_contenders_that_ran_and_that_did_not(tmp_path: Any, colour_jpeg: Jpeg) -> None:
    entries = [
        {"subject": "torch", "ran": True, "why_not": None, "version": "2.12",
         "labels_compared": 64, "labels_equal": 63},
        {"subject": "tensorrt", "ran": False, "why_not": "no GPU", "version": None,
         "labels_compared": 0, "labels_equal": 0},
    ]  # fmt: skip
    text = table(document_of(tmp_path, colour_jpeg, series("int8", 2), against=entries))
    assert "torch (2.12): 63 of 64 labels as ours in FP32" in text
    assert "tensorrt: not measured: no GPU" in text


@pytest.mark.parametrize("median_ms", [0.0001, 0.001, 0.0067, 0.0096, 0.02, 0.96, 9.6, 99.6, 9996])
def test_table_is_no_wider_than_a_terminal(
    tmp_path: Any, colour_jpeg: Jpeg, median_ms: float
) -> None:
    long = series("onnxruntime-openvino-with-a-name-that-is-long", 12345.6, images_per_call=4096)
    found = (long, series("b", median_ms))
    text = table(document_of(tmp_path, colour_jpeg, *found, notes=["x y " * 90]))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert " 12.3k-12.3k " in text
    assert median_ms != 0.001 or " 0.001-0.001 " in text


def test_daemon_is_compared_with_the_loop_in_images_per_second(
    tmp_path: Any, colour_jpeg: Jpeg
) -> None:
    each = {"mode": "offline", "images_per_call": 500, "turns": np.arange(8, dtype=np.int64)}
    bare = series("bare loop", 1000, 8, **each)
    daemon = series("int8", 1250, 8, level="file", **each)
    found = document_of(tmp_path, colour_jpeg, bare, daemon)
    (ratio,) = found["ratios"]
    assert (ratio["of"], ratio["to"]) == (daemon.id, bare.id)
    assert ratio["what"] == "images per second"
    assert ratio["estimate"]["value"] == 0.8


def test_number_has_three_digits() -> None:
    assert [number(x) for x in (0.00123, 0.5, 15, 99.96, 123.4, 12345, 2e6)] == [
        *("0.00123", "0.500", "15.0", "100", "123", "12,345", "2,000k")
    ]
