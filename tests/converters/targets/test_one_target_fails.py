"""A graph that cannot be made costs its target alone, is told, and is never taken for success."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

import converters.int8.tensorrt_graph
from converters.cli import main
from converters.layers.placement import Placement
from converters.search.search import SearchResult, find_graph
from converters.search.task import SearchTask
from converters.targets import quantized
from converters.targets.failure import Failure, result_or_failure
from edge.backends.select import open_session
from edge.bundle import load_bundle
from edge.errors import BackendError, ConfigError, ModelError, StorageError

FP16_FAILS = "the opset converter knows no counterpart"


def convert(folder: Path, *more: str) -> int:
    return main([str(folder / "tiny.pt"), "--out", str(folder / "tiny.edge"), *more])


def models(folder: Path) -> list[str]:
    bundle = load_bundle(folder / "tiny.edge")
    return sorted(a.path for a in bundle.artefacts if a.role == "model")


def evidence(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (folder / "tiny.edge" / "evidence" / "evidence.json").read_text()
    )
    return found


@pytest.fixture
def no_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(FP16_FAILS)

    monkeypatch.setattr(converters.int8.tensorrt_graph, "to_fp16", fail)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of placements that fail, to be filled."""
    names: list[str] = []
    related = quantized.rebuild_like

    def refuse(placement: Placement) -> None:
        if placement.name in names:
            raise Fail("no kernel\nfor this")

    def refusing_find_graph(task: SearchTask, placement: Placement) -> SearchResult:
        refuse(placement)
        return find_graph(task, placement)

    def refusing_related(
        task: SearchTask, placement: Placement, like: SearchResult
    ) -> SearchResult:
        refuse(placement)
        return related(task, placement, like)

    monkeypatch.setattr(quantized, "find_graph", refusing_find_graph)
    monkeypatch.setattr(quantized, "rebuild_like", refusing_related)
    return names


@pytest.mark.usefixtures("no_fp16")
def test_fp16_that_cannot_be_made_leaves_all_int8_graphs(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(model_folder, "--int8", "--tensorrt8") == 0
    assert models(model_folder) == [
        "model.fp32.onnx",
        "model.int8.7bit.onnx",
        "model.int8.onnx",
        "model.int8.trt.onnx",
    ]
    said = capsys.readouterr()
    assert "warning: no FP16 graph for GPUs: RuntimeError at converters/" in said.out
    assert FP16_FAILS in said.out
    assert "the float layers of the INT8 graph for tensorrt stay in FP32" in said.out
    assert "warning: no INT8 graph for tensorrt8: TensorRT 8 chooses FP16 itself" in said.out
    assert "Traceback" not in said.err
    found = evidence(model_folder)
    assert FP16_FAILS in found["not_made"]["fp16"]
    assert found["graphs"]["tensorrt"]["rest_in"] == "fp32"
    assert "fp16" not in found
    manifest = load_bundle(model_folder / "tiny.edge").manifest
    assert manifest["evidence"]["not_made"] == found["not_made"]
    types = {
        t.data_type
        for t in onnx.load(model_folder / "tiny.edge" / "model.int8.trt.onnx").graph.initializer
    }
    assert onnx.TensorProto.FLOAT16 not in types
    page = (model_folder / "tiny.edge" / "evidence" / "report.html").read_text()
    assert FP16_FAILS in page


@pytest.mark.usefixtures("no_fp16")
def test_debug_shows_the_trace_of_a_graph_that_could_not_be_made(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(model_folder, "--debug") == 0
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert f"RuntimeError: {FP16_FAILS}" in said


def test_tensorrt_that_cannot_be_made_costs_no_other_and_strict_names_it(
    model_folder: Path, failing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append("tensorrt")
    assert convert(model_folder, "--int8") == 0
    assert "model.int8.onnx" in models(model_folder)
    assert "model.int8.trt.onnx" not in models(model_folder)
    assert open_session(load_bundle(model_folder / "tiny.edge"), precision="int8")
    said = capsys.readouterr().out
    assert "no INT8 graph for tensorrt: Fail at converters/" in said
    assert "no kernel for this" in said
    page = (model_folder / "tiny.edge" / "evidence" / "report.html").read_text()
    assert "INT8 passed for x86, but could not be made for tensorrt" in page
    before = sorted(p.name for p in model_folder.iterdir())
    assert convert(model_folder, "--int8", "--strict", "--overwrite") == 4
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("error: no INT8 graph for tensorrt: Fail")
    assert "Nothing was written" in lines[-1]
    assert sorted(p.name for p in model_folder.iterdir()) == before


def test_bundle_without_the_int8_that_was_asked_for_says_so_first_and_last_and_exits_7(
    model_folder: Path, failing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    failing += ["x86", "x86-7bit"]
    assert convert(model_folder, "--int8") == 7
    assert models(model_folder) == ["model.fp16.trt.onnx", "model.fp32.onnx", "model.int8.trt.onnx"]
    assert load_bundle(model_folder / "tiny.edge").default_precision == "fp32"
    said = capsys.readouterr()
    assert said.out.splitlines()[0].startswith(
        "FP32 ONLY: tiny.edge holds no INT8 graph for CPUs, although --int8 asked for one: Fail"
    )
    assert said.err.splitlines()[-1].startswith("warning: FP32 only: tiny.edge holds no INT8")
    page = (model_folder / "tiny.edge" / "evidence" / "report.html").read_text()
    assert "FP32 only on CPUs: INT8 could not be made for x86 (CPUs with VNNI)" in page


def test_seven_bits_alone_are_not_shipped(model_folder: Path, failing: list[str]) -> None:
    # A machine without VNNI must not run what a machine with it may not.
    failing.append("x86")
    assert convert(model_folder, "--int8") == 7
    assert "model.int8.7bit.onnx" not in models(model_folder)


def test_calibration_that_a_library_refuses_costs_int8_alone(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise Fail("no such output")

    monkeypatch.setattr(quantized, "calibrate", fail)
    assert convert(model_folder, "--int8", "--no-cache") == 7
    assert models(model_folder) == ["model.fp16.trt.onnx", "model.fp32.onnx"]
    assert "calibrated on no images" in capsys.readouterr().out
    assert set(evidence(model_folder)["not_made"]) == {"x86", "x86-7bit", "tensorrt"}


@pytest.mark.parametrize("error", [ConfigError("a"), ModelError("b"), StorageError("c")])
def test_what_costs_every_target_is_not_caught(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        result_or_failure(fail)


def test_interruption_is_not_caught() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        result_or_failure(interrupted)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BackendError("the session is closed."), "the session is closed."),
        (KeyError("conv"), "KeyError at converters/targets/failure.py: 'conv'"),
        (MemoryError(), "MemoryError at converters/targets/failure.py"),
    ],
)
def test_failure_is_one_line_with_the_trace_apart(error: Exception, reason: str) -> None:
    def fail() -> None:
        raise error

    found = result_or_failure(fail)
    assert isinstance(found, Failure)
    assert re.sub(r"\.py:\d+", ".py", found.reason) == reason
    assert type(error).__name__ in found.trace


def test_validation_images_that_were_calibrated_on_are_told(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = sorted((model_folder / "validation" / "red").iterdir())[:3]
    for number, path in enumerate(same):
        (model_folder / "calibration" / f"same{number}.jpg").write_bytes(path.read_bytes())
    assert convert(model_folder, "--int8") == 0
    assert "warning: 3 validation images are calibration images too" in capsys.readouterr().out
    assert evidence(model_folder)["validation"]["also_calibrated"] == 3
