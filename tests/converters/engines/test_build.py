"""`edge-convert --engine`: real builds with TensorRT for RTX, others on the fake GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from converters.cli import main
from converters.fp16.conversion import to_fp16
from converters.int8.qdq import weight_scales
from converters.int8.tensorrt_graph import cast_before_moving, for_tensorrt
from converters.layers.placement import MIN_HALF_SCALE, TENSORRT, TENSORRT8
from edge.backends.onnx import open_onnx
from edge.backends.trt.plan import PlanRecord
from edge.bundle import load_bundle
from tests.support import fake_gpu
from tests.support.fake_gpu import FakeGpu

rtx = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import tensorrt_rtx"], check=False).returncode != 0,
    reason="tensorrt-rtx is not installed",
)


def convert(folder: Path, model: str, *more: str) -> int:
    return main([str(folder / model), "--out", str(folder / "tiny.edge"), *more])


def add(bundle: Path, *more: str) -> int:
    return main([str(bundle), *more])


def record_of(bundle: Path, name: str) -> PlanRecord:
    return PlanRecord.from_dict(json.loads((bundle / "engines" / f"{name}.json").read_bytes()))


@rtx
def test_engines_for_three_targets_are_added_to_a_bundle(
    converted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_bundle(converted)
    assert add(converted, "--engine", "tensorrt-rtx:sm86,sm89,sm120") == 0
    after = load_bundle(converted)
    assert {a.path for a in before.artefacts} <= {a.path for a in after.artefacts}
    for precision, quantized in (("int8", True), ("fp16", False)):
        (engine,) = after.engines("tensorrt-rtx", precision)
        assert engine.requires["compute_capability"] == "8.6 8.9 12.0"
        record = record_of(converted, f"{precision}.tensorrt-rtx")
        assert record.plan_sha256 == engine.sha256
        assert (record.quantize_layers > 0) is quantized
        (graph,) = (a for a in after.artefacts if a.sha256 == record.graph_sha256)
        # TensorRT for RTX has built what gives both.
        outputs = onnx.load_model_from_string(after.read(graph.path)).graph.output
        assert [output.name for output in outputs] == ["logits", "features"]
    said = capsys.readouterr().out
    assert "tensorrt-rtx int8" in said
    assert "not known without a GPU" in said
    assert "not run" in said


@rtx
def test_engines_of_one_library_are_replaced_and_others_kept(converted: Path) -> None:
    assert add(converted, "--engine", "tensorrt-rtx:sm86,sm89") == 0
    assert add(converted, "--engine", "tensorrt-rtx:sm120") == 0
    (engine,) = load_bundle(converted).engines("tensorrt-rtx", "int8")
    assert engine.requires["compute_capability"] == "12.0"


@rtx
@pytest.mark.parametrize(
    ("engine", "told", "code"),
    [
        ("tensorrt-rtx:sm90", "does not build for sm90", 5),
        ("tensorrt-rtx:turing", "no compute capability such as sm86", 2),
        ("openvino", "names no library", 2),
        ("tensorrt", "tensorrt cannot be loaded", 5),
    ],
)
def test_an_engine_that_cannot_be_built_is_one_line_and_leaves_the_bundle(
    converted: Path, capsys: pytest.CaptureFixture[str], engine: str, told: str, code: int
) -> None:
    before = {p: p.read_bytes() for p in converted.rglob("*") if p.is_file()}
    assert add(converted, "--engine", engine) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert told in line
    assert {p: p.read_bytes() for p in converted.rglob("*") if p.is_file()} == before


def test_an_engine_that_cannot_be_had_is_said_before_the_conversion(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(model_folder, "tiny.pt", "--int8", "--engine", "tensorrt-rtx:sm61") == 5
    assert "does not build for sm61" in capsys.readouterr().err
    assert not (model_folder / "tiny.edge").exists()


def test_a_bundle_without_engine_flag_says_what_to_give(
    converted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(converted) == 2
    assert "--engine" in capsys.readouterr().err


def test_engines_here_are_judged_raced_and_added(
    converted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu = FakeGpu(quantize_layers=3)
    fake_gpu.install(monkeypatch, gpu)
    validation = str(converted.parent / "validation")
    assert add(converted, "--engine", "tensorrt", "--validation", validation) == 0
    bundle = load_bundle(converted)
    assert len(bundle.engines("tensorrt", "int8")) == len(bundle.engines("tensorrt", "fp16")) == 1
    record = record_of(converted, "int8.tensorrt")
    assert record.gpu == gpu.name
    assert record.layer_precisions == {"int8": 1, "fp16": 1}
    said = capsys.readouterr().out
    assert "is the fastest for one image" in said
    assert "tensorrt int8: accuracy 100.0%" in said
    assert gpu.allocations == 0


def test_an_engine_here_that_misses_the_gate_is_left_out(
    converted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # On this GPU every engine labels red images as green.
    fake_gpu.install(monkeypatch, FakeGpu(quantize_layers=3, swapped_above=5))
    before = (converted / "manifest.json").read_bytes()
    assert add(converted, "--engine", "tensorrt") == 5
    assert "no engine was added" in capsys.readouterr().err
    assert (converted / "manifest.json").read_bytes() == before


def test_engines_here_are_built_by_default_where_there_is_a_gpu(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_gpu.install(monkeypatch, FakeGpu(quantize_layers=3))
    assert convert(model_folder, "tiny.pt", "--int8") == 0
    bundle = load_bundle(model_folder / "tiny.edge")
    assert bundle.engines("tensorrt", "int8")


def test_an_int8_graph_whose_quantization_the_library_dropped_is_refused(
    converted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_gpu.install(monkeypatch, FakeGpu(quantize_layers=0))
    assert add(converted, "--engine", "tensorrt") == 5
    assert "read no quantized layer" in capsys.readouterr().err


def test_adding_engines_needs_neither_torch_nor_onnx() -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = None\n"
        "import converters.cli, converters.engines.build\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# The graphs themselves.


def test_tensorrt_graphs_cast_the_images_first_and_compute_the_same(converted: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3)).astype(np.uint8)
    fp32 = onnx.load(converted / "model.fp32.onnx")
    expected = open_onnx(fp32.SerializeToString(), "fp32").infer(images).logits
    moved = onnx.ModelProto()
    moved.CopyFrom(fp32)
    cast_before_moving(moved)
    assert moved.graph.node[0].op_type == "Cast"
    assert moved.graph.node[0].input[0] == "images"
    np.testing.assert_allclose(
        open_onnx(moved.SerializeToString(), "fp32").infer(images).logits, expected, atol=1e-5
    )
    for name in ("int8.trt", "int8.trt8", "fp16.trt"):
        graph = onnx.load(converted / f"model.{name}.onnx").graph
        (reader,) = (node for node in graph.node if "images" in node.input)
        assert reader.op_type == "Cast"


def test_no_fp16_scale_is_zero_even_of_a_channel_without_weights(converted: Path) -> None:
    scales = weight_scales(
        np.zeros((2, 3, 1, 1), np.float32), 127, None, 1.0, min_scale=TENSORRT.min_scale
    )
    assert (scales.astype(np.float16) > 0).all()
    assert TENSORRT.min_scale == MIN_HALF_SCALE > TENSORRT8.min_scale
    graph = onnx.load(converted / "model.int8.trt.onnx").graph
    found = [numpy_helper.to_array(t) for t in graph.initializer if t.name.endswith("_scale")]
    assert found
    assert all((values > 0).all() for values in found)


def test_fp16_graph_keeps_its_operator_set_and_the_quantized_one_gets_19(converted: Path) -> None:
    def opset(name: str) -> int:
        (standard,) = onnx.load(converted / f"model.{name}.onnx").opset_import
        return int(standard.version)

    fp32 = onnx.load(converted / "model.fp32.onnx")
    assert opset("fp16.trt") == next(o.version for o in fp32.opset_import if o.domain == "")
    assert opset("int8.trt") == 19
    assert opset("int8.trt8") < 19
    assert for_tensorrt(fp32, half_floats=False).graph.node[0].op_type == "Cast"
    assert to_fp16(fp32).graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
