"""ONNX graphs whose sizes depend on what an image shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from converters.loading.graph_file.graph_sizes import require_fixed_sizes
from edge.errors import ModelError

Node = onnx.NodeProto


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Node:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def graph_of(*nodes: Node) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])
    logits = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    weights = [
        numpy_helper.from_array(np.array([1], np.int64), "one"),
        numpy_helper.from_array(np.array(1, np.bool_), "true"),
        numpy_helper.from_array(np.array(9, np.int64), "nine"),
    ]
    return helper.make_model(helper.make_graph(list(nodes), "g", [image], [logits], weights))


def loop_body(*nodes: Node, goes_on: str) -> onnx.GraphProto:
    count = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    before = helper.make_tensor_value_info("goes_on", TensorProto.BOOL, [])
    after = helper.make_tensor_value_info(goes_on, TensorProto.BOOL, [])
    return helper.make_graph(list(nodes), "body", [count, before], [after])


def carrying_body(*nodes: Node) -> onnx.GraphProto:
    """The body of a loop that hands `next` to the next round as `carried`."""
    body = loop_body(*nodes, goes_on="goes_on")
    body.input.append(helper.make_tensor_value_info("carried", TensorProto.INT64, []))
    body.output.append(helper.make_tensor_value_info("next", TensorProto.INT64, []))
    return body


SUM = (node("ReduceSum", "x", "sum", keepdims=0), node("Cast", "sum", "size", to=7))

UNBOUNDED = {
    "ConstantOfShape": (*SUM, node("ConstantOfShape", "size", "y")),
    "Tile": (*SUM, node("Tile", "x size", "y")),
    "Expand": (*SUM, node("Expand", "x size", "y")),
    "Range": (*SUM, node("Range", "one size one", "y")),
    "Resize": (*SUM, helper.make_node("Resize", ["x", "", "", "size"], ["y"])),
    "Loop": (*SUM, node("Loop", "size true", "y", body=loop_body(goes_on="true"))),
    "in a branch": (
        *SUM,
        node(
            "If",
            "true",
            "y",
            then_branch=helper.make_graph([node("Tile", "x size", "t")], "t", [], []),
            else_branch=helper.make_graph([], "e", [], []),
        ),
    ),
    "second round": (
        node(
            "Loop",
            "nine true nine",
            "y",
            body=carrying_body(
                node("Tile", "x carried", "tiled"),
                node("ReduceMax", "x", "max", keepdims=0),
                node("Cast", "max", "next", to=7),
            ),
        ),
    ),
    "condition of a Loop": (
        node(
            "Loop",
            "nine true",
            "y",
            body=loop_body(
                node("ReduceMax", "x", "max", keepdims=0),
                node("Cast", "max", "more", to=9),
                goes_on="more",
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", UNBOUNDED)
def test_size_that_depends_on_the_image_is_refused_and_named(name: str) -> None:
    inner = {"in a branch": "Tile", "second round": "Tile", "condition of a Loop": "Loop"}
    operator = inner.get(name, name)
    with pytest.raises(ModelError, match=f"m.onnx has a {operator} "):
        require_fixed_sizes(graph_of(*UNBOUNDED[name]), "m.onnx")


def test_sizes_from_shapes_and_constants_pass() -> None:
    """As exporters write Flatten with a free batch, and loops with a fixed count."""
    require_fixed_sizes(
        graph_of(
            node("Shape", "x", "shape"),
            node("Gather", "shape one", "channels"),
            node("Concat", "channels one", "target", axis=0),
            node("Reshape", "x target", "flat"),
            node("Loop", "nine true", "", body=loop_body(goes_on="goes_on")),
            node("Relu", "flat", "y"),
        ),
        "m.onnx",
    )
