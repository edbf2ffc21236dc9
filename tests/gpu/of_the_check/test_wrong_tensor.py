"""The search for the tensor at which an INT8 engine goes wrong, with faults put into the graph.

ONNX Runtime stands for the engine: it computes a copy of the graph with one fault in it, as a
library that misreads it would.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge.backends.onnx import open_onnx
from edge.backends.trt.library import open_library
from edge.bundle import load_bundle
from tests.gpu import misreadings
from tests.gpu.setting import Setting
from tests.gpu.steps import wrong_tensor
from tests.gpu.steps.graph_changes import CHANGES, beginning, read_out, tensors
from tests.gpu.steps.wrong_tensor import LIMIT, Search, first_lasting, first_wrong, relative
from tests.support.fake_gpu import FakeGpu

Fault = Callable[[onnx.ModelProto], None]
Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]

CHANNELS = 6
IMAGES = np.random.default_rng(3).integers(0, 256, (1, 16, 16, 3), np.uint8)


class Graph:
    """A small Q/DQ graph in the form of the bundle's: convolutions, ReLU6, an addition."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(1)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def quantized(self, name: str, scale: Any, **attributes: Any) -> str:
        held = self.constant(f"{name}_scale", scale)
        zero = self.constant(f"{name}_zero", np.zeros(np.shape(scale)), np.int8)
        self.add("QuantizeLinear", [name, held, zero], f"{name}_q", **attributes)
        return self.add("DequantizeLinear", [f"{name}_q", held, zero], f"{name}_dq", **attributes)

    def conv(self, source: str, name: str, ins: int) -> str:
        weight = self.rng.normal(0, 0.1, (CHANNELS, ins, 3, 3)).astype(np.float32)
        scale = np.abs(weight).max(axis=(1, 2, 3)) / 127
        self.constant(f"{name}_weight", weight)
        held = self.quantized(f"{name}_weight", scale, axis=0)
        bias = self.constant(f"{name}_bias", self.rng.normal(0, 0.5, CHANNELS))
        return self.add("Conv", [source, held, bias], name, pads=[1, 1, 1, 1])

    def relu6(self, source: str, name: str) -> str:
        return self.add("Clip", [source, "zero", "six"], name)

    def model(self) -> onnx.ModelProto:
        images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 16, 16, 3])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
        graph = helper.make_graph(self.nodes, "small", [images], [logits], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return model


@pytest.fixture
def model() -> onnx.ModelProto:
    graph = Graph()
    graph.constant("zero", 0.0)
    graph.constant("six", 6.0)
    graph.constant("factor", 1 / 255)
    floats = graph.add("Cast", ["images"], "floats", to=TensorProto.FLOAT)
    first = graph.add("Transpose", [floats], "first", perm=[0, 3, 1, 2])
    scaled = graph.quantized(graph.add("Mul", [first, "factor"], "scaled"), 1 / 127)
    stem = graph.quantized(graph.relu6(graph.conv(scaled, "stem", 3), "stem6"), 6 / 127)
    middle = graph.quantized(graph.relu6(graph.conv(stem, "middle", CHANNELS), "middle6"), 6 / 127)
    added = graph.add("Add", [stem, graph.conv(middle, "last", CHANNELS)], "added")
    pooled = graph.add("GlobalAveragePool", [graph.quantized(added, 6 / 127)], "pooled")
    flat = graph.add("Flatten", [pooled], "flat", axis=1)
    graph.constant("classes", graph.rng.normal(0, 1, (CHANNELS, 3)))
    graph.add("MatMul", [flat, "classes"], "logits")
    return graph.model()


def run(model: onnx.ModelProto) -> NDArray[np.float32]:
    return open_onnx(model.SerializeToString(), "int8", optimise=False).infer(IMAGES).logits


def node_of(model: onnx.ModelProto, output: str) -> onnx.NodeProto | None:
    return next((node for node in model.graph.node if output in node.output), None)


def loses_the_identity(model: onnx.ModelProto) -> None:
    node = node_of(model, "added")
    if node is not None:
        node.CopyFrom(helper.make_node("Identity", [node.input[1]], node.output))


def misreads_relu6(model: onnx.ModelProto) -> None:
    node = node_of(model, "middle6")
    if node is not None and node.op_type == "Clip":
        node.CopyFrom(helper.make_node("Neg", node.input[:1], node.output))


class Library(Search):
    """Reads every graph with the fault."""

    fault: Fault
    built = 0

    def outputs(self, model: onnx.ModelProto, **_options: Any) -> Outputs:
        misread = onnx.ModelProto.FromString(model.SerializeToString())
        self.fault(misread)
        Library.built += 1
        return run(misread), run(model)


def searched(fault: Fault, model: onnx.ModelProto, setting: Setting) -> Search:
    search = Library(setting, IMAGES)
    search.fault = fault
    wrong_tensor.search_tensors(search, model)
    return search


@pytest.fixture
def setting(trt_bundle: Path, fake_gpu: FakeGpu, tmp_path: Path) -> Setting:
    assert fake_gpu
    library = open_library("tensorrt")
    bundle = load_bundle(trt_bundle)
    return Setting(bundle, library, _machine(), tmp_path, tmp_path / "engines")


def _machine() -> Any:
    from edge.backends.trt.gpu import find_machine

    return find_machine()


def test_the_first_wrong_tensor_is_seen_by_one_build(
    model: onnx.ModelProto, setting: Setting
) -> None:
    found = searched(loses_the_identity, model, setting).figures
    assert found["first_wrong"] == "added"
    read = found["all tensors read out"]
    assert list(read) == ["scaled", "stem6", "middle6", "added", "logits"]
    assert [share > LIMIT for share in read.values()] == [False, False, False, True, True]
    # Whatever is changed, this fault stays.
    assert min(found["shortest wrong graph"].values()) > LIMIT


def test_the_change_that_heals_the_shortest_wrong_graph_is_told(
    model: onnx.ModelProto, setting: Setting
) -> None:
    found = searched(misreads_relu6, model, setting).figures
    assert found["first_wrong"] == "middle6"
    right = [n for n, share in found["shortest wrong graph"].items() if share <= LIMIT]
    assert right == ["ReLU in place of ReLU6"]


def test_a_right_engine_at_the_low_level_is_built_at_higher_ones(
    model: onnx.ModelProto, setting: Setting
) -> None:
    found = searched(lambda _model: None, model, setting).figures
    assert found == {"whole graph": dict.fromkeys(("level 1", "level 2", "level 3"), 0.0)}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_keeps_what_the_graph_computes(model: onnx.ModelProto, name: str) -> None:
    changed = CHANGES[name](model)
    onnx.checker.check_model(changed)
    assert relative(run(changed), run(model)) < 0.05
    assert (
        name == "no tiny scales"
        or len(changed.graph.node) != len(model.graph.node)
        or ("Relu" in {node.op_type for node in changed.graph.node})
    )


def test_half_floats_are_given_out_as_floats(model: onnx.ModelProto) -> None:
    half = onnx.ModelProto.FromString(model.SerializeToString())
    for node in half.graph.node:
        if node.op_type == "Cast":
            node.attribute[0].i = TensorProto.FLOAT16
    for tensor in half.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    half.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    half.opset_import[0].version = 19
    half.ir_version = 9
    for shown in (beginning(half, "stem6"), read_out(half)[0]):
        onnx.checker.check_model(shown, full_check=True)
        assert shown.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
        assert run(shown).dtype == np.float32


def test_the_numbers_of_values_cut_the_row_into_its_tensors(model: onnx.ModelProto) -> None:
    shown, sizes = read_out(model)
    row = run(shown)[0]
    assert len(row) == sum(sizes)
    assert row[-3:].tolist() == run(model)[0].tolist()
    assert len(sizes) == len(tensors(model))


def test_the_first_wrong_tensor_is_found_by_halving() -> None:
    names = [str(number) for number in range(13)]
    for first in range(13):
        asked: list[str] = []

        def deviate(name: str, first: int = first, asked: list[str] = asked) -> float:
            asked.append(name)
            return 0.5 if int(name) >= first else 0.02

        assert first_wrong(names, deviate) == str(first)
        assert len(asked) <= 4
    assert first_wrong(names, lambda _: 0.02) is None


def test_a_tensor_that_only_once_looks_wrong_is_not_the_first() -> None:
    assert first_lasting({"a": 0.1, "b": 0.5, "c": 0.2, "d": 0.6, "logits": 0.4}) == "d"
    assert first_lasting({"a": 0.9, "logits": 0.1}) is None


def test_misreadings_tell_apart_what_matters_and_what_does_not(model: onnx.ModelProto) -> None:
    found = {m.__name__: max(s) for m, s in misreadings.deviations(model, [IMAGES]).items()}
    assert list(found) == [misread.__name__ for misread in misreadings.MISREADINGS]
    assert found["identity_left_out"] > 0.2
    assert found["identity_not_quantized"] < 0.05
    # The small graph has neither.
    assert (found["no_bias"], found["padding_at_the_end"]) == (0, 0)
