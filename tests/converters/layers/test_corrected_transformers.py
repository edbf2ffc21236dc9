"""Layer correction where a layer's bias is an addition behind it, or is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from converters.accuracy import statistics as metrics
from converters.correction.float_run import run_float
from converters.correction.layer_correction import correct_layers
from converters.int8.onnx_to_int8 import Int8Model, quantize
from converters.int8.target_session import open_as_target
from converters.int8.tensorrt_graph import for_tensorrt
from converters.layers.biases import shift_biases
from converters.layers.placement import TENSORRT8, X86, Placement
from converters.layers.weighted import BiasFinder
from edge.backends.onnx import open_onnx
from tests.support.networks.calibrated import SPEC, Calibrated, calibrated
from tests.support.networks.transformers import TRANSFORMERS

SIDE = 4
Rounded = Mapping[str, NDArray[np.int8]]


@pytest.fixture(scope="module", params=sorted(TRANSFORMERS))
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    return calibrated(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("placement", [X86, TENSORRT8], ids=lambda p: p.name)
def test_correction_brings_a_transformer_closer_to_fp32(
    net: Calibrated, placement: Placement
) -> None:
    reference = run_float(net.fp32, net.images)
    ranges = net.ranges(placement.symmetric)

    def quantized(source: onnx.ModelProto, rounded: Rounded) -> Int8Model:
        return quantize(source, ranges, SPEC, placement, rounded=rounded)

    plain = quantized(net.fp32, {})
    int8 = correct_layers(net.fp32, quantized, placement, reference)
    assert int8.quantized_layers == plain.quantized_layers
    graphs = [plain.model, int8.model]
    if placement.symmetric:
        graphs = [for_tensorrt(graph, half_floats=False) for graph in graphs]
    before, after = (
        metrics.divergence(
            reference.logits, open_as_target(g, placement).infer(net.images).logits
        ).mean()
        for g in graphs
    )
    assert after < before


def one_matmul(
    *, bias: NDArray[np.float32] | None, transposed: bool | None = None
) -> onnx.ModelProto:
    """Red in and, times 0.33 of a weight's step, out again; as Gemm where `transposed` says."""
    weight = np.array([[1, 0.33 / 127], [0, 1], [0, 0]], np.float32)
    values: dict[str, NDArray[Any]] = {
        "weight": weight,
        "rows": np.array([-1, 3], np.int64),
        "places": np.array([-1, SIDE, SIDE, 2], np.int64),
    }
    nodes = [helper.make_node("Cast", ["images"], ["floats"], name="cast", to=TensorProto.FLOAT)]
    mean = helper.make_node("ReduceMean", ["out"], ["logits"], name="mean", axes=[1, 2], keepdims=0)
    if transposed is None:
        nodes.append(helper.make_node("MatMul", ["floats", "weight"], ["found"], name="layer"))
        if bias is not None:
            nodes.append(helper.make_node("Add", ["bias", "found"], ["sum"], name="add"))
            nodes.append(helper.make_node("Reshape", ["sum", "places"], ["out"], name="back"))
            values["bias"] = bias
        else:
            nodes[-1].output[0] = "out"
    else:
        values["weight"] = weight.T if transposed else weight
        nodes += [
            helper.make_node("Reshape", ["floats", "rows"], ["tokens"], name="reshape"),
            helper.make_node(
                "Gemm", ["tokens", "weight"], ["found"], name="layer", transB=int(transposed)
            ),
            helper.make_node("Reshape", ["found", "places"], ["out"], name="back"),
        ]
        if bias is not None:
            nodes[-2].input.append("bias")
            values["bias"] = bias
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        [*nodes, mean],
        "one layer",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ("batch", SIDE, SIDE, 3))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("batch", 2))],
        [numpy_helper.from_array(v, name) for name, v in values.items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


CASES = pytest.mark.parametrize(
    "model",
    [
        one_matmul(bias=None),
        one_matmul(bias=np.array([3.0, 4.0], np.float32)),
        one_matmul(bias=np.array([[[3.0, 4.0]]], np.float32)),
        one_matmul(bias=np.array([[[[[3.0, 4.0]]]]], np.float32)),
        one_matmul(bias=None, transposed=True),
        one_matmul(bias=None, transposed=False),
        one_matmul(bias=np.array([[3.0, 4.0]], np.float32), transposed=True),
        one_matmul(bias=np.array(3.0, np.float32), transposed=False),
    ],
    ids=[
        *("no bias", "bias", "bias of three dimensions", "bias of more dimensions than the layer"),
        *("Gemm", "Gemm with inputs first", "Gemm and a row as bias", "Gemm and a number as bias"),
    ],
)


@CASES
@pytest.mark.parametrize("placement", [X86, TENSORRT8], ids=lambda p: p.name)
def test_weight_that_is_rounded_away_comes_back_as_bias(
    placement: Placement, model: onnx.ModelProto
) -> None:
    images = np.zeros((6, SIDE, SIDE, 3), np.uint8)
    images[:, :, :, 0] = np.arange(200, 212, 2)[:, None, None]
    reference = run_float(model, images)
    read = {node.name: node for node in model.graph.node}["layer"].input[0]

    def quantized(source: onnx.ModelProto, rounded: Rounded) -> Int8Model:
        return quantize(source, {read: (0.0, 255.0)}, SPEC, placement, rounded=rounded)

    plain = quantized(model, {})
    assert plain.quantized_layers == ("layer",)
    int8 = correct_layers(model, quantized, placement, reference)
    found = [open_as_target(m.model, placement).infer(images).logits[:, 1] for m in (plain, int8)]
    wanted = reference.logits[:, 1].mean()
    np.testing.assert_allclose(wanted - found[0].mean(), 0.33 / 127 * images[..., 0].mean(), 0.02)
    np.testing.assert_allclose(found[1].mean(), wanted, atol=0.02)


@CASES
def test_shift_moves_what_a_layer_gives(model: onnx.ModelProto) -> None:
    images = np.full((1, SIDE, SIDE, 3), 7, np.uint8)
    shifted = shift_biases(model, {"layer": np.array([2.0, -1.0])})
    onnx.checker.check_model(shifted)
    before, after = (
        open_onnx(m.SerializeToString(), "fp32").infer(images).logits for m in (model, shifted)
    )
    np.testing.assert_allclose(after - before, [[2.0, -1.0]], atol=1e-5)


def test_addition_of_another_activation_is_no_bias() -> None:
    model = one_matmul(bias=np.array([3.0, 4.0], np.float32))
    nodes = {node.name: node for node in model.graph.node}
    place = BiasFinder(model).find(nodes["layer"], 2)
    assert place is not None
    assert (place.node.name, place.position) == ("add", 0)
    nodes["add"].input[0] = "found"
    assert BiasFinder(model).find(nodes["layer"], 2) is None


def test_addition_of_a_constant_that_differs_between_places_is_no_bias() -> None:
    model = one_matmul(bias=np.ones((1, SIDE, SIDE, 2), np.float32))
    layer = next(node for node in model.graph.node if node.name == "layer")
    assert BiasFinder(model).find(layer, 2) is None
