"""The torch process that the engines are compared with; here on the CPU."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from edge.errors import EdgeError
from edge.preprocess import InputSpec
from tests.gpu.setting import ROOT
from tests.gpu.steps import peer
from tests.gpu.worker import open_setting
from tests.support.fake_gpu import FakeGpu

CARD = ROOT / "converters" / "reference" / "cells8.yaml"


def test_the_torch_process_answers_and_tells_errors(tmp_path: Path) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    images = np.random.default_rng(1).integers(0, 256, (2, 160, 160, 3), np.uint8)
    spec = InputSpec.from_dict(yaml.safe_load(CARD.read_text())["input"])
    with peer.open_peer(sys.executable, spec, 8, images, tmp_path, device="cpu") as opened:
        logits = np.array(opened.greeting["logits"])
        asked = {"variant": "eager fp32", "level": "call", "batch": 3, "calls": 2}
        times = opened.ask(asked, 60)["ms"]
        wrong = opened.ask({**asked, "variant": "none"}, 60)
    assert logits.shape == (2, 8)
    assert len(times) == 2
    assert wrong == {"error": "KeyError: 'none'"}
    with (
        pytest.raises(EdgeError, match="the torch process ended with 1: RuntimeError"),
        peer.open_peer(sys.executable, spec, 8, images, tmp_path, device="nonsense"),
    ):
        pass


def test_engines_and_torch_take_turns_and_what_torch_cannot_do_is_told(
    trt_bundle: Path, fake_gpu: FakeGpu, tmp_path: Path
) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    facts = {
        "bundle": str(trt_bundle),
        "library": "tensorrt",
        "work": str(tmp_path),
        "engines": str(tmp_path / "engines"),
        "data": None,
        "torch_python": sys.executable,
        "sizes": {"images": 1, "rounds": 4, "calls": 1},
    }
    setting = open_setting(facts)
    setting.cache.build(setting.request("int8"), lambda *_: None)
    setting.proven.add("int8")
    spec = InputSpec.from_dict(yaml.safe_load(CARD.read_text())["input"])
    cells = np.zeros((2, 160, 160, 3), np.uint8)
    small = np.zeros((3, 16, 16, 3), np.uint8)
    with (
        setting.sessions() as sessions,
        peer.open_peer(sys.executable, spec, 8, cells, tmp_path, device="cpu") as opened,
    ):
        times, failed = peer.race(setting, sessions, opened, small, ("eager fp32", "none"))
    assert set(times) == {
        f"{level} {who}" for level in ("engine", "call") for who in ("int8", "torch eager fp32")
    }
    # Four blocks of one round of five calls.
    assert {len(values) for values in times.values()} == {20}
    assert failed == {f"{level} torch none x3": "KeyError: 'none'" for level in ("engine", "call")}
    assert fake_gpu.allocations == 0
