"""Layer correction: a quantized graph's layers give what FP32's give, on average and closely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from converters.accuracy import statistics as metrics
from converters.calibration.ranges import Range
from converters.correction.float_run import (
    FloatRun,
    balanced,
    mean_over_places,
    open_graph,
    run_float,
)
from converters.correction.layer_correction import (
    CARRIED_BYTES,
    MAX_IMAGES,
    correct_layers,
    image_limit,
)
from converters.correction.layer_walk import LayerWalk
from converters.int8.onnx_to_int8 import Int8Model, quantize
from converters.int8.target_session import open_as_target
from converters.int8.tensorrt_graph import for_tensorrt
from converters.layers.biases import shift_biases
from converters.layers.placement import TENSORRT, TENSORRT8, X86, X86_7BIT, Placement
from tests.support.networks.calibrated import SPEC, Calibrated, calibrated

PLACEMENTS = (X86, X86_7BIT, TENSORRT, TENSORRT8)
SIDE = 4
Rounded = Mapping[str, NDArray[np.int8]]


@pytest.fixture(scope="module", params=["mobilenet_v3", "resnet"])
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    net = calibrated(request.param, tmp_path_factory.mktemp(request.param))
    # The time of a correction grows with its images.
    return replace(net, images=net.images[:16])


@pytest.fixture(scope="module")
def reference(net: Calibrated) -> FloatRun:
    return run_float(net.fp32, net.images)


@pytest.fixture(scope="module", params=PLACEMENTS, ids=lambda placement: placement.name)
def corrected(
    net: Calibrated, reference: FloatRun, request: pytest.FixtureRequest
) -> tuple[Placement, Int8Model]:
    """The corrected graph of one placement: made once, as it takes seconds."""
    return request.param, correct(net, request.param, reference)


def correct(net: Calibrated, placement: Placement, reference: FloatRun) -> Int8Model:
    ranges = net.ranges(placement.symmetric)

    def quantized(source: onnx.ModelProto, rounded: Rounded) -> Int8Model:
        return quantize(source, ranges, SPEC, placement, rounded=rounded)

    return correct_layers(net.fp32, quantized, placement, reference)


def means_in_one_run(
    model: onnx.ModelProto, layers: tuple[str, ...], images: NDArray[np.uint8]
) -> dict[str, NDArray[np.float64]]:
    """Mean output of each channel by running the whole graph, all layers' outputs at once."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    nodes = {node.name: node for node in model.graph.node}
    for name in layers:
        watched.graph.node.extend(
            mean_over_places(nodes[name], f"mean of {name}", model.opset_import)
        )
        value = helper.make_tensor_value_info(f"mean of {name}", TensorProto.FLOAT, None)
        watched.graph.output.append(value)
    session = open_graph(watched)
    found = session.run([f"mean of {name}" for name in layers], {"images": images})
    return {
        name: values.reshape(len(values), -1).mean(axis=0, dtype=np.float64)
        for name, values in zip(layers, found, strict=True)
    }


def test_corrected_graph_has_the_means_of_fp32_at_every_layer(
    net: Calibrated, reference: FloatRun, corrected: tuple[Placement, Int8Model]
) -> None:
    placement, int8 = corrected
    plain = net.quantized(placement)
    assert int8.quantized_layers == plain.quantized_layers
    before, after = (
        means_in_one_run(m.model, int8.quantized_layers, net.images) for m in (plain, int8)
    )
    for name in int8.quantized_layers:
        wanted = reference.channel_means[name].mean(axis=0)
        shifted = np.abs(before[name] - wanted).max()
        # What is left is the step of an integer bias, and the rounding that it sets off: little
        # beside what the images differ by, and not the same on every processor.
        spread = reference.channel_means[name].std()
        assert np.abs(after[name] - wanted).max() < max(0.1 * shifted, 0.01 * spread)


def test_correction_brings_the_probabilities_closer_to_fp32(
    net: Calibrated, reference: FloatRun, corrected: tuple[Placement, Int8Model]
) -> None:
    placement, int8 = corrected
    graphs = [net.quantized(placement).model, int8.model]
    if placement.symmetric:
        graphs = [for_tensorrt(g, half_floats=placement.half_floats) for g in graphs]
    before, after = (
        metrics.divergence(
            reference.logits, open_as_target(g, placement).infer(net.images).logits
        ).mean()
        for g in graphs
    )
    # An untrained network's logits hardly differ: some millionths of a nat are FP16's own.
    assert after < max(before, 3e-6)


@pytest.mark.parametrize("corrected", [X86], indirect=True, ids=lambda placement: placement.name)
def test_correction_twice_gives_the_same_bytes(
    net: Calibrated, corrected: tuple[Placement, Int8Model]
) -> None:
    placement, first = corrected
    second = correct(net, placement, run_float(net.fp32, net.images))
    assert first.model.SerializeToString(deterministic=True) == second.model.SerializeToString(
        deterministic=True
    )


def test_walk_carries_eight_bits_where_the_graph_has_them(net: Calibrated) -> None:
    int8 = net.quantized(X86)
    walk = LayerWalk(int8.model, net.images[:1])
    assert int8.quantized_layers
    for name in int8.quantized_layers:
        (read,) = walk.inputs(name)
        assert read.dtype == np.float32
        assert {values.dtype for values in walk._carried[0].values()} == {np.dtype(np.uint8)}  # noqa: SLF001 - what is kept between two layers


def one_layer(weight: float, *, bias: float | None, side: int = SIDE) -> onnx.ModelProto:
    """Two channels of a 1 x 1 convolution on red: one with a weight of 1, one with `weight`."""
    constants = {
        "weight": np.array([[1, 0, 0], [weight, 1, 0]], np.float32).reshape(2, 3, 1, 1),
        **({} if bias is None else {"bias": np.full(2, bias, np.float32)}),
    }
    nodes = [
        helper.make_node("Transpose", ["images"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["first"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["floats", *constants], ["pixels"], name="conv"),
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "one layer",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ("batch", side, side, 3))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("batch", 2))],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


@pytest.mark.parametrize("bias", [None, 3.0])
@pytest.mark.parametrize("placement", [X86, TENSORRT8], ids=lambda p: p.name)
def test_weight_that_is_rounded_away_comes_back_as_bias(
    placement: Placement, bias: float | None
) -> None:
    # A third of the step of its channel, 1 / 127: rounded, it is no more.
    lost = 0.33 / 127
    model = one_layer(lost, bias=bias)
    images = np.zeros((6, SIDE, SIDE, 3), np.uint8)
    images[:, :, :, 0] = np.arange(200, 212, 2)[:, None, None]
    ranges: dict[str, Range] = {"floats": (0.0, 255.0)}
    reference = run_float(model, images)

    def quantized(source: onnx.ModelProto, rounded: Rounded) -> Int8Model:
        return quantize(source, ranges, SPEC, placement, rounded=rounded)

    plain = quantized(model, {})
    steps: list[tuple[int, int]] = []
    int8 = correct_layers(
        model, quantized, placement, reference, on_layer=lambda *step: steps.append(step)
    )
    assert steps == [(1, 1)]
    found = [open_as_target(m.model, placement).infer(images).logits[:, 1] for m in (plain, int8)]
    mean_lost = lost * images[:, 0, 0, 0].mean()
    np.testing.assert_allclose(reference.logits[:, 1].mean() - found[0].mean(), mean_lost, 1e-3)
    np.testing.assert_allclose(found[1].mean(), reference.logits[:, 1].mean(), atol=0.02)


def test_shift_of_one_layer_leaves_the_bias_that_another_shares() -> None:
    model = one_layer(0.5, bias=1.0)
    other = onnx.NodeProto()
    other.CopyFrom(model.graph.node[2])
    other.name, other.output[0] = "other", "unused"
    model.graph.node.insert(3, other)
    shifted = shift_biases(model, {"conv": np.array([2.0, -1.0])})
    constants = {t.name: numpy_helper.to_array(t) for t in shifted.graph.initializer}
    nodes = {node.name: node for node in shifted.graph.node}
    assert constants[nodes["conv"].input[2]].tolist() == [3.0, 0.0]
    assert constants[nodes["other"].input[2]].tolist() == [1.0, 1.0]
    assert model.graph.node[2].input[2] == "bias"


def test_image_limit_bounds_what_is_carried() -> None:
    assert image_limit(one_layer(1.0, bias=None)) == MAX_IMAGES
    wide = one_layer(1.0, bias=None, side=1024)
    assert image_limit(wide) == CARRIED_BYTES // (3 * 1024 * 1024)


def test_balanced_takes_rare_classes_in_turn() -> None:
    predicted = np.array([0] * 20 + [1] * 2 + [2] * 10)
    chosen = balanced(predicted, 12)
    assert np.bincount(predicted[chosen]).tolist() == [5, 2, 5]
    assert chosen.tolist() == sorted(chosen)
    assert balanced(predicted, 100).tolist() == list(range(32))


def test_mean_over_classes_weighs_a_rare_class_as_a_frequent_one() -> None:
    values, classes = np.array([0.0] * 99 + [1.0]), np.array([0] * 99 + [3])
    assert metrics.mean_over_classes(values, classes) == pytest.approx(0.5)
