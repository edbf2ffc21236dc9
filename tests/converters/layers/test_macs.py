"""Counting: every operator that multiplies matrices, for one image, whatever shapes are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from converters.layers.macs import int8_share, layer_macs
from converters.layers.shapes import shapes_of_one_image
from tests.support.networks.calibrated import calibrated
from tests.support.networks.transformers import HEADS, WIDTH, WINDOW

SIDE = 4


def graph_of(
    nodes: list[onnx.NodeProto],
    constants: Mapping[str, NDArray[Any]],
    output: str,
    opset: int = 17,
) -> onnx.ModelProto:
    """A graph that reads float images under the name `floats`."""
    cast = helper.make_node("Cast", ["images"], ["floats"], name="cast", to=TensorProto.FLOAT)
    graph = helper.make_graph(
        [cast, *nodes],
        "counted",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ("batch", SIDE, SIDE, 3))],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def node(operator: str, inputs: list[str], **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, ["found"], name="layer", **attributes)


def floats(*shape: int) -> NDArray[np.float32]:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("layer", "weights", "wanted"),
    [
        (node("MatMul", ["floats", "w"]), {"w": floats(3, 5)}, 16 * 3 * 5),
        (node("MatMul", ["w", "floats"]), {"w": floats(5, 4)}, 4 * 5 * 4 * 3),
        (node("MatMul", ["floats", "w"]), {"w": floats(4, 3, 5)}, 16 * 3 * 5),
        (node("Einsum", ["floats", "w"], equation="nhwc,cd->nhwd"), {"w": floats(3, 5)}, 240),
        (node("Einsum", ["floats", "w"], equation="...c,cd->...d"), {"w": floats(3, 5)}, 240),
        (node("Einsum", ["floats", "w"], equation="nhwc,cd"), {"w": floats(3, 5)}, 240),
        (
            node("Conv", ["floats", "w"], pads=[1, 1, 1, 1], group=2),
            {"w": floats(6, 2, 3, 3)},
            6 * 2 * 9 * 4 * 3,
        ),
        (node("ConvTranspose", ["floats", "w"]), {"w": floats(4, 5, 2, 2)}, 4 * 5 * 4 * 4 * 3),
    ],
    ids=lambda value: getattr(value, "op_type", ""),
)
def test_layer_macs_of_one_operator_follow_its_formula(
    layer: onnx.NodeProto, weights: dict[str, NDArray[np.float32]], wanted: int
) -> None:
    assert layer_macs(graph_of([layer], weights, "found")) == {"layer": wanted}


def test_layer_macs_of_a_turned_gemm_take_the_summed_dimension() -> None:
    nodes = [
        helper.make_node("Reshape", ["floats", "shape"], ["rows"], name="reshape"),
        node("Gemm", ["rows", "w"], transA=1),
    ]
    constants: dict[str, NDArray[Any]] = {"shape": np.array([-1, 3], np.int64), "w": floats(16, 5)}
    assert layer_macs(graph_of(nodes, constants, "found"))["layer"] == 3 * 16 * 5


def test_layer_macs_of_a_recurrent_layer_count_every_step() -> None:
    nodes = [
        helper.make_node("Reshape", ["floats", "shape"], ["steps"], name="reshape"),
        helper.make_node("LSTM", ["steps", "w", "r"], ["found"], name="layer", hidden_size=2),
    ]
    constants: dict[str, NDArray[Any]] = {
        "shape": np.array([16, 1, 3], np.int64),
        "w": floats(1, 8, 3),
        "r": floats(1, 8, 2),
    }
    assert layer_macs(graph_of(nodes, constants, "found"))["layer"] == 16 * (8 * 3 + 8 * 2)


def test_layer_macs_of_an_attention_node_count_both_products() -> None:
    nodes = [
        helper.make_node("Reshape", ["floats", "shape"], ["tokens"], name="reshape"),
        node("Attention", ["tokens", "tokens", "tokens"], q_num_heads=1, kv_num_heads=1),
    ]
    constants: dict[str, NDArray[Any]] = {"shape": np.array([1, 16, 3], np.int64)}
    assert layer_macs(graph_of(nodes, constants, "found", 23))["layer"] == 2 * 16 * 16 * 3


def test_layer_macs_of_a_vision_transformer_hold_attention(tmp_path: Path) -> None:
    macs = layer_macs(calibrated("vision_transformer", tmp_path).fp32)
    tokens = 64 + 1
    block = 12 * tokens * WIDTH**2 + 2 * tokens**2 * WIDTH
    assert sum(macs.values()) == 64 * WIDTH * 3 * 64 + 2 * block + WIDTH * 8


def test_layer_macs_count_all_windows_of_an_image(tmp_path: Path) -> None:
    # Their number is multiplied with the batch, so that no inferred shape tells it.
    net = calibrated("window_transformer", tmp_path)
    tokens, window = 64, WINDOW * WINDOW
    assert HEADS * (WIDTH // HEADS) == WIDTH
    linear, attention = 13 * tokens * WIDTH**2, 2 * tokens * window * WIDTH
    assert sum(layer_macs(net.fp32).values()) == (
        64 * WIDTH * 3 * 64 + linear + attention + WIDTH * 8
    )


def test_int8_share_of_no_layer_is_zero(tmp_path: Path) -> None:
    assert int8_share(layer_macs(calibrated("vision_transformer", tmp_path).fp32), ()) == 0


def test_sequences_of_tensors_have_no_shape_and_are_passed_over() -> None:
    nodes = [
        helper.make_node("SplitToSequence", ["floats"], ["parts"], axis=3, keepdims=1),
        helper.make_node("SequenceAt", ["parts", "number"], ["first"]),
    ]
    model = graph_of(nodes, {"number": np.array(0, np.int64)}, "first")
    shapes = shapes_of_one_image(model, {"floats", "parts", "first"})
    assert shapes == {"floats": (1, SIDE, SIDE, 3), "first": (1, SIDE, SIDE, 1)}
