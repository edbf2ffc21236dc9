"""Reads an ONNX graph into plain Python, for back ends that are not given ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bench.against.packages import needs
from edge.errors import BackendError

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """An operator with its attributes; a missing optional input is an empty name."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OnnxNodes:
    """A graph with one input; its nodes are in the order in which they can be computed."""

    image_input: str
    outputs: tuple[str, ...]
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Array]


def read_nodes(model: bytes) -> OnnxNodes:
    """Read a serialised ONNX model.

    Raises:
        BackendError: the package onnx is missing, or the graph has operators from elsewhere.
    """
    with needs("onnx"):
        import onnx

    graph = onnx.load_model_from_string(model).graph
    constants: dict[str, Array] = {
        one.name: np.array(onnx.numpy_helper.to_array(one)) for one in graph.initializer
    }
    nodes = []
    for node in graph.node:
        if node.domain not in {"", "ai.onnx"}:
            raise BackendError(
                f"the graph has {node.domain} {node.op_type}, which only ONNX Runtime knows"
            )
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant" and "value" in attributes:
            value = onnx.numpy_helper.to_array(attributes["value"])
            constants[node.output[0]] = np.array(value)
            continue
        nodes.append(OnnxNode(node.op_type, tuple(node.input), tuple(node.output), attributes))
    outputs = tuple(output.name for output in graph.output)
    (image,) = (one.name for one in graph.input if one.name not in constants)
    return OnnxNodes(image, outputs, tuple(nodes), constants)
