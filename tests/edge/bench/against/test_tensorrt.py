from __future__ import annotations

from pathlib import Path

import pytest

from edge.bench.against.contenders import open_contenders
from edge.bundle import load_bundle
from tests.support import fake_gpu
from tests.support.engine_bundle import add_tensorrt_graphs
from tests.support.fake_gpu import FakeGpu


def test_tensorrt_on_a_fake_gpu_runs_the_fp16_graph(
    small_bundle: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_gpu.install(monkeypatch, FakeGpu())
    bundle = load_bundle(add_tensorrt_graphs(small_bundle))
    opened = open_contenders(["tensorrt"], bundle, images, on_step=lambda _: None)
    (entry,) = opened.entries
    assert entry.why_not is None
    assert entry.labels_equal == len(images)
    assert opened.contenders[0].session.precision == "fp16"
    opened.close()


def test_tensorrt_without_a_gpu_says_what_is_missing(
    small_bundle: Path, images: list[Path]
) -> None:
    bundle = load_bundle(small_bundle)
    opened = open_contenders(["tensorrt-rtx"], bundle, images, on_step=lambda _: None)
    (entry,) = opened.entries
    assert not entry.ran
    assert entry.why_not
    assert "tensorrt-rtx" in entry.why_not
