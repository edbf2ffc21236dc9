"""Runs a quantized graph from one weighted layer to the next, each time for all images.

Between two layers only the tensors that the rest of the graph still needs are stored, quantized to
8 bits where the graph does so. A walk takes little longer than two runs of the graph.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from converters.correction.float_run import mean_over_places, open_graph
from converters.layers.weighted import BiasFinder
from converters.onnx_graph.editing import copy_of

_MEANS: Final = "channel_means"
_BACK_TO_FLOAT: Final = "DequantizeLinear"


@dataclass(frozen=True, slots=True)
class LayerConstants:
    """A layer's weight, in the layout of its operator, and bias; both after rounding to INT8."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


class LayerWalk:
    """Runs images through a graph up to a given layer, then on to the next.

    Args:
        model: a quantized graph; only the batch may be dynamic.
        images: uint8 (images, height, width, 3), preprocessed.
    """

    def __init__(self, model: onnx.ModelProto, images: NDArray[np.uint8]) -> None:
        # Constants that replace the graph's own; and by node and input position, their names.
        self._new_constants: dict[str, NDArray[np.float32]] = {}
        self._replaced: dict[str, dict[int, str]] = {}
        self._model = onnx.shape_inference.infer_shapes(model)
        graph = self._model.graph
        self._nodes = {node.name: node for node in graph.node}
        self._biases = BiasFinder(self._model)
        self._made_by = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        values = (*graph.input, *graph.value_info, *graph.output)
        self._values = {value.name: value for value in values}
        # Nodes that need not run again, by first output.
        self._finished: set[str] = set()
        self._carried: list[dict[str, NDArray[np.generic]]] = [
            {graph.input[0].name: image[np.newaxis]} for image in images
        ]

    def set_constants(self, layer: str, constants: LayerConstants) -> None:
        """Use other constants for a layer from now on."""
        node = self._nodes[layer]
        place = self._biases.find(node, constants.bias.size)
        weight, bias = f"{layer}_solved_weight", f"{layer}_solved_bias"
        self._new_constants |= {weight: constants.weight, bias: constants.bias}
        self._replaced.setdefault(layer, {})[1] = weight
        if place is not None:
            self._replaced.setdefault(place.node.name, {})[place.position] = bias

    def inputs(self, layer: str) -> Iterator[NDArray[np.float32]]:
        """Advance to a layer and yield its input for each image, (1, channels, ...).

        Args:
            layer: a node's name; it must come after the layer of the previous call.
        """
        read = self._nodes[layer].input[0]
        self._finished |= self._ancestors(read)
        leaves = self._still_read()
        made = [name for name in leaves if name not in self._carried[0]]
        session = open_graph(self._part([read, *made]))
        for position, carried in enumerate(self._carried):
            activation, *found = session.run([read, *made], carried)
            known = {**carried, **dict(zip(made, found, strict=True))}
            self._carried[position] = {name: known[name] for name in leaves}
            yield activation

    def mean_output(self, layer: str) -> NDArray[np.float64]:
        """Mean of each output channel (channels,) of the current layer."""
        node = self._nodes[layer]
        nodes = mean_over_places(node, _MEANS, self._model.opset_import)
        session = open_graph(self._part([_MEANS], *nodes))
        means = [session.run([_MEANS], carried)[0].ravel() for carried in self._carried]
        return np.asarray(np.mean(means, axis=0, dtype=np.float64))

    def _ancestors(self, tensor: str) -> set[str]:
        """The nodes that compute a tensor, except those that dequantize.

        Those run again when needed: floats would take four times the memory of 8 bits.
        """
        nodes = self._between((), [tensor])
        return {node.output[0] for node in nodes if node.op_type != _BACK_TO_FLOAT}

    def _still_read(self) -> list[str]:
        """Computed tensors that unfinished nodes read, in the graph's order."""
        there = [value.name for value in self._model.graph.input]
        for node in self._model.graph.node:
            there += node.output if node.output[0] in self._finished else ()
        return [name for name in there if self._will_be_read(name)]

    def _will_be_read(self, name: str) -> bool:
        return any(
            self._will_be_read(reader.output[0])
            if reader.op_type == _BACK_TO_FLOAT
            else reader.output[0] not in self._finished
            for reader in self._readers.get(name, ())
        )

    def _part(self, outputs: list[str], *more: onnx.NodeProto) -> onnx.ModelProto:
        """The part of the graph from the stored tensors to `outputs`, extended by `more` nodes."""
        reads = list(self._carried[0])
        wanted = [name for node in more for name in node.input if name in self._made_by] or outputs
        nodes = [*(self._with_constants(node) for node in self._between(reads, wanted)), *more]
        used = {name for node in nodes for name in node.input}
        constants = [t for t in self._model.graph.initializer if t.name in used]
        changed = ((name, values) for name, values in self._new_constants.items() if name in used)
        constants += [numpy_helper.from_array(np.ascontiguousarray(v), name) for name, v in changed]
        graph = helper.make_graph(
            nodes,
            "part",
            [self._values[name] for name in reads],
            [self._values.get(name, _float_value(name)) for name in outputs],
            constants,
        )
        part = helper.make_model(graph, opset_imports=self._model.opset_import)
        part.ir_version = self._model.ir_version
        return part

    def _between(self, reads: Collection[str], wanted: list[str]) -> list[onnx.NodeProto]:
        """The nodes that compute `wanted` from `reads`, in the graph's order."""
        needed: set[str] = set()
        waiting = list(wanted)
        while waiting:
            name = waiting.pop()
            node = self._made_by.get(name)
            if node is not None and name not in reads and node.output[0] not in needed:
                needed.add(node.output[0])
                waiting += self._with_constants(node).input
        return [node for node in self._model.graph.node if node.output[0] in needed]

    def _with_constants(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """A node, with its replaced constants as inputs."""
        if node.name not in self._replaced:
            return node
        copy = copy_of(node)
        for position, name in self._replaced[node.name].items():
            copy.input[position] = name
        return copy


def _float_value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
