"""Models that somebody quantized already are refused in one line, whatever their form."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from converters.cli import main
from converters.loading.file_kind.quantized import refuse_quantized_torch
from converters.loading.graph_file.graph import parse_graph
from converters.loading.sandbox.messages import SourceKind
from edge.errors import ModelError
from tests.support.networks.graphs import graph

BYTES = np.arange(-32, 32, dtype=np.int8).reshape(8, 8)


def with_node(operator: str, domain: str = "") -> onnx.ModelProto:
    model = graph("y = Identity (f)")
    model.graph.node.append(helper.make_node(operator, ["f"], ["unused"], domain=domain))
    return model


@pytest.mark.parametrize(
    ("operator", "domain"),
    [
        *((name, "") for name in ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")),
        *((name, "") for name in ("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")),
        *((name, "com.microsoft") for name in ("QLinearAdd", "QGemm", "MatMulNBits", "QAttention")),
        ("DynamicQuantizeMatMul", "com.microsoft"),
        ("FakeQuantize", "org.openvinotoolkit"),
    ],
)
def test_graph_with_a_quantized_operator_is_refused_by_its_name(operator: str, domain: str) -> None:
    content = with_node(operator, domain).SerializeToString()
    with pytest.raises(ModelError, match=f"m.onnx is quantized already .it has {operator}.*float"):
        parse_graph(content, "m.onnx")


@pytest.mark.parametrize(
    "kind", [TensorProto.FLOAT8E4M3FN, TensorProto.INT4, TensorProto.UINT4, TensorProto.INT8]
)
def test_graph_with_quantized_weights_is_refused(kind: int) -> None:
    model = graph("y = Identity (f)")
    weight = numpy_helper.from_array(BYTES, "weight")
    if kind != TensorProto.INT8:
        weight = helper.make_tensor("weight", kind, [8, 8], np.ones(64, np.float32))
    model.graph.initializer.append(weight)
    name = TensorProto.DataType.Name(kind)
    with pytest.raises(ModelError, match=f"quantized already .it has weights in {name}"):
        parse_graph(model.SerializeToString(), "m.onnx")


def test_graph_with_a_few_bytes_or_integers_is_taken() -> None:
    model = graph("y = Identity (f)")
    for name, values in (
        ("flags", np.zeros((2, 4), np.uint8)),
        ("indices", np.zeros((8, 8), np.int64)),
        ("row", np.zeros(500, np.int8)),
    ):
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    parse_graph(model.SerializeToString(), "m.onnx")


def test_quantized_operator_within_a_branch_is_found() -> None:
    model = graph(
        """y = If (is_so) <
             then_branch = a () => (float[b, c, h, w] t) {
               q = QuantizeLinear (f, step, zero)
               t = DequantizeLinear (q, step, zero)
             },
             else_branch = e () => (float[b, c, h, w] u) { u = Identity (f) }
           >""",
        is_so=np.ones((), np.bool_),
        step=np.asarray(0.1, np.float32),
        zero=np.asarray(0, np.int8),
    )
    with pytest.raises(ModelError, match="QuantizeLinear"):
        parse_graph(model.SerializeToString(), "m.onnx")


@pytest.mark.parametrize(
    ("kind", "entry", "content"),
    [
        (
            SourceKind.TORCHSCRIPT,
            "m/code/__torch__/net.py",
            b"x = ops.quantized.conv2d_relu(input, p, 0.1, 3)",
        ),
        (
            SourceKind.EXPORTED_PROGRAM,
            "m/models/model.json",
            b'"target": "torch.ops.quantized_decomposed.quantize_per_tensor.default"',
        ),
    ],
)
def test_torch_file_that_calls_quantized_operators_is_refused(
    tmp_path: Path, kind: SourceKind, entry: str, content: bytes
) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr(entry, content)
    with pytest.raises(ModelError, match=r"m.pt is quantized already .it has .*quantized"):
        refuse_quantized_torch(tmp_path / "m.pt", kind, "m.pt")


def test_float_torchscript_is_none_of_them(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            torch.nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 8, 8)
        )
    traced.save(tmp_path / "m.pt")
    refuse_quantized_torch(tmp_path / "m.pt", SourceKind.TORCHSCRIPT, "m.pt")


def test_convert_of_a_quantized_file_exits_3_and_writes_nothing(
    model_folder: Path, exported_onnx: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    model = onnx.load_from_string(exported_onnx)
    (given,) = (value.name for value in model.graph.input)
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            if name == given:
                node.input[position] = "dequantized"
    parameters = ["step", "zero"]
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(0.02, np.float32), "step"))
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(0, np.int8), "zero"))
    nodes = [
        helper.make_node("QuantizeLinear", [given, *parameters], ["quantized"]),
        helper.make_node("DequantizeLinear", ["quantized", *parameters], ["dequantized"]),
    ]
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    onnx.save(model, model_folder / "tiny.onnx")
    argv = [str(model_folder / "tiny.onnx"), "--int8", "--out", str(model_folder / "tiny.edge")]
    assert main(argv) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("error: tiny.onnx is quantized already (it has DequantizeLinear")
    assert not (model_folder / "tiny.edge").exists()
