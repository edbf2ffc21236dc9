"""Transformers and ConvNeXt in INT8: every layer in integers, nothing between them quantized."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.accuracy import statistics as metrics
from converters.int8.onnx_to_int8 import quantizable_tensors
from converters.int8.target_session import open_as_target
from converters.int8.tensorrt_graph import for_tensorrt
from converters.layers.macs import int8_share, layer_macs
from converters.layers.placement import TENSORRT, TENSORRT8, X86, X86_7BIT, Placement
from converters.layers.weighted import weighted_layers
from converters.onnx_graph.lookup import constant_arrays, producers
from edge.backends.trt.build import BuildOptions, build_plan
from edge.backends.trt.library import open_library
from tests.support.networks.calibrated import Calibrated, calibrated
from tests.support.networks.graphs import operators_at_run_time
from tests.support.networks.transformers import TRANSFORMERS

rtx = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import tensorrt_rtx"], check=False).returncode != 0,
    reason="tensorrt-rtx is not installed",
)


@pytest.fixture(scope="module", params=sorted(TRANSFORMERS))
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    return calibrated(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def vision_transformer(tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    return calibrated("vision_transformer", tmp_path_factory.mktemp("vision_transformer"))


@pytest.fixture(scope="module")
def convnext(tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    return calibrated("convnext", tmp_path_factory.mktemp("convnext"))


def layers_on_a_sum(model: onnx.ModelProto) -> tuple[str, ...]:
    ends = ("depthwise/Conv", "strided/Conv")
    return tuple(node.name for node in model.graph.node if node.name.endswith(ends))


def test_x86_makes_every_layer_run_in_integers(net: Calibrated, tmp_path: Path) -> None:
    int8 = net.quantized(X86)
    in_float = layers_on_a_sum(net.fp32)
    layers = Counter(n.op_type for n in weighted_layers(net.fp32) if n.name not in in_float)
    found = operators_at_run_time(int8.model, tmp_path)
    assert int8.float_layers == in_float
    assert found["MatMulIntegerToFloat"] == layers["MatMul"] > 0
    assert found["QLinearConv"] == layers["Conv"]
    assert found["QGemm"] == layers["Gemm"] == 1
    assert found["Conv"] + found["FusedConv"] == len(in_float)
    assert "Gemm" not in found


def test_x86_keeps_gelu_and_layer_norm_fused(net: Calibrated, tmp_path: Path) -> None:
    fused = ("BiasGelu", "Gelu", "LayerNormalization", "SkipLayerNormalization", "Softmax")
    found = operators_at_run_time(net.quantized(X86).model, tmp_path)
    in_float = operators_at_run_time(net.fp32, tmp_path)
    wanted, held = ([by[name] for name in fused] for by in (in_float, found))
    # A layer norm may be fused with the addition before it in one of the graphs alone.
    assert sum(held[2:4]) == sum(wanted[2:4])
    assert held[:2] == wanted[:2]
    assert "Erf" not in found


def test_x86_quantizes_each_input_of_a_layer_once_and_nothing_between(net: Calibrated) -> None:
    model = net.quantized(X86).model
    quantized = [node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    inputs = {layer.input[0] for layer in weighted_layers(net.fp32)}
    outputs = {n.output[0] for n in net.fp32.graph.node if n.op_type == "Conv"}
    assert len(quantized) == len(set(quantized))
    # The image is quantized before it is moved.
    assert set(quantized) <= inputs | outputs | {"normalised_rows"}


def test_attention_products_stay_in_float_and_are_not_part_of_the_share(
    vision_transformer: Calibrated,
) -> None:
    int8 = vision_transformer.quantized(X86)
    assert 0.8 < int8_share(layer_macs(vision_transformer.fp32), int8.quantized_layers) < 1
    made_by = producers(int8.model)
    names = set(int8.quantized_layers)
    products = [n for n in int8.model.graph.node if n.op_type == "MatMul" and n.name not in names]
    assert len(products) == 4
    for product in products:
        assert all(made_by[name].op_type != "DequantizeLinear" for name in product.input)


def test_weights_of_a_matmul_have_a_scale_for_each_column(vision_transformer: Calibrated) -> None:
    for placement in (X86, TENSORRT8):
        model = vision_transformer.quantized(placement).model
        made_by, values = producers(model), constant_arrays(model)
        original = constant_arrays(vision_transformer.fp32)
        layers = [n for n in weighted_layers(vision_transformer.fp32) if n.op_type == "MatMul"]
        nodes = {node.name: node for node in model.graph.node}
        assert layers
        for layer in layers:
            dequantize = made_by[nodes[layer.name].input[1]]
            weight = original[layer.input[1]]
            assert dequantize.attribute[0].i == 1
            np.testing.assert_allclose(
                values[dequantize.input[1]], np.abs(weight).max(axis=0) / 127, rtol=1e-6
            )


def test_tensorrt_quantizes_the_inputs_of_layers_alone(net: Calibrated) -> None:
    model = net.quantized(TENSORRT).model
    made_by = producers(model)
    layers = {layer.name for layer in weighted_layers(net.fp32)}
    layers.difference_update(layers_on_a_sum(net.fp32))
    assert layers & {node.name for node in model.graph.node}
    for node in model.graph.node:
        sources = [made_by[name].op_type for name in node.input if name in made_by]
        if node.name in layers:
            assert sources[:2] == ["DequantizeLinear", "DequantizeLinear"]
        elif node.op_type != "DequantizeLinear":
            assert "DequantizeLinear" not in sources


@pytest.mark.parametrize("placement", [X86, X86_7BIT, TENSORRT8], ids=lambda p: p.name)
def test_quantized_graph_stays_close_to_float(net: Calibrated, placement: Placement) -> None:
    model = net.quantized(placement).model
    if placement.symmetric:
        model = for_tensorrt(model, half_floats=False)
    logits = open_as_target(model, placement).infer(net.images).logits
    assert metrics.divergence(net.source.sample_logits, logits).mean() < 0.02


def test_convolution_that_is_read_in_float_is_quantized_behind_it_for_x86_alone(
    convnext: Calibrated,
) -> None:
    patches = next(n.output[0] for n in convnext.fp32.graph.node if n.op_type == "Conv")
    for placement, quantizes in ((X86, True), (TENSORRT, False)):
        model = convnext.quantized(placement).model
        sources = {n.input[0] for n in model.graph.node if n.op_type == "QuantizeLinear"}
        assert (patches in sources) is quantizes
        # All that read it get the same, or the convolution would run in float.
        assert any(patches in n.input for n in model.graph.node if n.op_type == "Add") is (
            not quantizes
        )


@pytest.mark.parametrize("placement", [X86, TENSORRT], ids=lambda p: p.name)
def test_convolutions_that_read_or_begin_a_sum_in_float_stay_in_float(
    convnext: Calibrated, placement: Placement
) -> None:
    found = layers_on_a_sum(convnext.fp32)
    assert len(found) == 3
    assert convnext.quantized(placement).float_layers == found


def test_quantizable_tensors_are_those_that_a_graph_quantizes(net: Calibrated) -> None:
    for placement in (X86, TENSORRT8):
        model = net.quantized(placement).model
        scales = {n.input[1] for n in model.graph.node if n.op_type == "QuantizeLinear"}
        weights = {f"{layer.name}_weight_scale" for layer in weighted_layers(net.fp32)}
        wanted = {f"{name}_scale" for name in quantizable_tensors(net.fp32, placement)}
        assert scales - weights == wanted


@rtx
def test_tensorrt_rtx_builds_the_graph_with_all_its_quantizers(net: Calibrated) -> None:
    graph = for_tensorrt(net.quantized(TENSORRT).model, half_floats=True)
    count = sum(node.op_type == "QuantizeLinear" for node in graph.graph.node)
    options = BuildOptions("int8", max_batch=4, targets=("8.6",))
    library = open_library("tensorrt-rtx")
    plan = build_plan(library, graph.SerializeToString(), options, None, lambda *_: None)
    assert plan.record.quantize_layers == count
