"""The INT8 graphs: where Q/DQ pairs stand, what ONNX Runtime makes of them, how close they stay."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.accuracy import statistics as metrics
from converters.calibration.ranges import Range
from converters.export.normalisation import image_parameters
from converters.fp16.conversion import to_fp16
from converters.int8.qdq import signed_parameters, unsigned_parameters, weight_scales
from converters.int8.target_session import open_as_target
from converters.layers.macs import int8_share, layer_macs
from converters.layers.placement import TENSORRT, X86, X86_7BIT, Placement
from converters.onnx_graph.lookup import constant_arrays, producers
from edge.backends.onnx import open_onnx
from edge.preprocess import InputSpec
from tests.support.networks.calibrated import ALL, SPEC, Calibrated, calibrated
from tests.support.networks.graphs import operators_at_run_time


@pytest.fixture(scope="module", params=sorted(ALL))
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    return calibrated(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    return calibrated("resnet", tmp_path_factory.mktemp("resnet"))


def test_source_to_onnx_equals_the_source_on_bytes(net: Calibrated) -> None:
    found = open_onnx(net.fp32.SerializeToString(), "fp32").infer(net.images).logits
    np.testing.assert_allclose(found, net.source.sample_logits, atol=2e-4, rtol=1e-3)


def test_source_to_onnx_holds_no_mean_over_space_and_no_batch_norm(net: Calibrated) -> None:
    operators = {node.op_type for node in net.fp32.graph.node}
    assert "GlobalAveragePool" in operators
    assert not operators & {"ReduceMean", "BatchNormalization"}


def test_x86_makes_every_layer_run_in_integers(net: Calibrated, tmp_path: Path) -> None:
    int8 = net.quantized(X86)
    operators = operators_at_run_time(int8.model, tmp_path)
    assert operators["QLinearConv"] == sum(n.op_type == "Conv" for n in net.fp32.graph.node)
    assert operators["QGemm"] == 1
    # The addition that normalises the image stays in float.
    assert operators["QLinearAdd"] == sum(n.op_type == "Add" for n in net.fp32.graph.node) - 1
    assert not {"Conv", "FusedConv", "Gemm", "Relu"} & set(operators)
    assert int8.float_layers == ()
    assert int8_share(layer_macs(net.fp32), int8.quantized_layers) == 1.0


def test_tensorrt_quantizes_the_inputs_of_weighted_layers_symmetrically(net: Calibrated) -> None:
    model = net.quantized(TENSORRT).model
    made_by, values = producers(model), constant_arrays(model)
    assert {"Conv", "Gemm"} <= {node.op_type for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            for name in node.input[:2]:
                dequantize = made_by[name]
                assert dequantize.op_type == "DequantizeLinear"
                assert made_by[dequantize.input[0]].op_type == "QuantizeLinear"
            weight = values[made_by[node.input[1]].input[1]]
            assert weight.shape == (values[node_weight(made_by, node)].shape[0],)
            assert made_by[node.input[1]].attribute[0].i == 0  # per channel on axis 0
            # The bias is a float constant.
            assert len(node.input) < 3 or node.input[2] in values
        if node.op_type == "QuantizeLinear":
            zero = values[node.input[2]]
            assert zero.dtype == np.int8
            assert not zero.any()


def node_weight(made_by: dict[str, onnx.NodeProto], node: onnx.NodeProto) -> str:
    return str(made_by[made_by[node.input[1]].input[0]].input[0])


def test_tensorrt_quantizes_nothing_else_but_the_identity_of_an_addition(net: Calibrated) -> None:
    model = net.quantized(TENSORRT).model
    made_by = producers(model)
    additions = 0
    for node in model.graph.node:
        quantized = [
            name
            for name in node.input
            if name in made_by and made_by[name].op_type == "DequantizeLinear"
        ]
        if node.op_type == "Add" and node.name != "normalise_add":
            additions += 1
            assert len(quantized) == 1
        elif node.op_type not in ("Conv", "Gemm", "DequantizeLinear"):
            assert quantized == []
    assert additions == sum(n.op_type == "Add" for n in net.fp32.graph.node) - 1


def test_tensorrt_identity_shares_the_scale_of_the_block_that_reads_it(resnet: Calibrated) -> None:
    model = resnet.quantized(TENSORRT).model
    readers = Counter(name for node in model.graph.node for name in node.input)
    shared = [
        name
        for node in model.graph.node
        if node.op_type == "Add"
        for name in node.input
        if name.endswith("_dq") and readers[name] > 1
    ]
    # Four of eight blocks keep the shape: their identity is also their first layer's input.
    assert len(shared) >= 4


def test_every_activation_has_one_quantizer_whatever_its_readers(net: Calibrated) -> None:
    for placement in (X86, TENSORRT):
        model = net.quantized(placement).model
        sources = [n.input[0] for n in model.graph.node if n.op_type == "QuantizeLinear"]
        assert len(sources) == len(set(sources))


@pytest.mark.parametrize("placement", [X86, X86_7BIT, TENSORRT], ids=lambda p: p.name)
def test_quantized_graph_stays_close_to_float(net: Calibrated, placement: Placement) -> None:
    model = net.quantized(placement).model
    if placement.half_floats:
        model = to_fp16(model)
    logits = open_as_target(model, placement).infer(net.images).logits
    assert metrics.divergence(net.source.sample_logits, logits).mean() < 0.05


def test_seven_bit_weights_use_seven_bits(resnet: Calibrated) -> None:
    for placement, limit in ((X86, 127), (X86_7BIT, 63)):
        values = constant_arrays(resnet.quantized(placement).model)
        weights = [v for name, v in values.items() if name.endswith("_weight_q")]
        assert max(int(np.abs(w.astype(int)).max()) for w in weights) == limit


def test_scales_of_a_graph_for_fp16_do_not_change_when_it_goes_there(resnet: Calibrated) -> None:
    # Its layers are corrected before.
    float_form = resnet.quantized(TENSORRT).model
    half = constant_arrays(to_fp16(float_form))
    scales = {n: v for n, v in constant_arrays(float_form).items() if n.endswith("_scale")}
    scales = {n: v for n, v in scales.items() if n != "normalise_scale"}
    assert len(scales) > 40
    assert all(np.array_equal(half[name], values) for name, values in scales.items())


def test_fp16_graph_holds_no_float_constants_and_gives_float_logits(resnet: Calibrated) -> None:
    half = to_fp16(resnet.quantized(TENSORRT).model)
    assert {str(v.dtype) for v in constant_arrays(half).values()} == {"float16", "int8", "int64"}
    assert half.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert half.opset_import[0].version == 19


def test_kept_float_layers_stay_in_float_and_are_named(resnet: Calibrated) -> None:
    layers = [n.name for n in resnet.fp32.graph.node if n.op_type == "Conv"]
    int8 = resnet.quantized(X86, kept_float=layers[:3])
    assert int8.float_layers == tuple(layers[:3])
    assert 0 < int8_share(layer_macs(resnet.fp32), int8.quantized_layers) < 1
    open_onnx(int8.model.SerializeToString(), "int8").infer(resnet.images)


@pytest.mark.parametrize("placement", [X86, TENSORRT], ids=lambda p: p.name)
def test_quantize_twice_gives_the_same_bytes(resnet: Calibrated, placement: Placement) -> None:
    first, second = (
        resnet.quantized(placement).model.SerializeToString(deterministic=True) for _ in range(2)
    )
    assert first == second


def test_layer_macs_of_resnet_match_the_formula(resnet: Calibrated) -> None:
    macs = layer_macs(resnet.fp32)
    first, last = list(macs.values())[0], list(macs.values())[-1]  # noqa: RUF015
    assert first == 32 * 32 * 32 * 3 * 7 * 7
    assert last == 256 * 8


def test_image_parameters_are_exact_where_the_mean_is_a_whole_level() -> None:
    spec = InputSpec(8, 8, "rgb", "area", (127 / 255,) * 3, (128 / 255,) * 3)
    found = image_parameters(spec)
    assert found is not None
    scale, zero_point = found
    pixels = np.arange(256)
    exact = (pixels / 255 - 127 / 255) / (128 / 255)
    np.testing.assert_allclose((pixels - zero_point) * scale, exact, atol=1e-12)


def test_image_parameters_of_imagenet_normalisation_are_none() -> None:
    assert image_parameters(SPEC) is None


@pytest.mark.parametrize("limits", [(0.0, 6.0), (-1.0, 3.0), (2.0, 5.0), (-4.0, -1.0), (0.0, 0.0)])
def test_unsigned_parameters_represent_zero_exactly(limits: Range) -> None:
    scale, zero_point = unsigned_parameters(limits)
    assert scale > 0
    assert 0 <= zero_point <= 255
    low, high = -zero_point * scale, (255 - zero_point) * scale
    assert low <= min(limits[0], 0) + scale / 2
    assert high >= max(limits[1], 0) - scale / 2


def test_signed_parameters_cover_the_larger_side_with_zero_point_zero() -> None:
    assert signed_parameters((-1.27, 0.5)) == pytest.approx((0.01, 0))


def test_weight_scales_with_large_bias_keep_the_bias_within_32_bits() -> None:
    weight = np.full((2, 1, 1, 1), 1e-9, np.float32)
    bias = np.array([5.0, 0.0], np.float32)
    scales = weight_scales(weight, 127, bias, input_scale=0.01)
    assert np.abs(bias / (scales * 0.01)).max() <= 2**30
