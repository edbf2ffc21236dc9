"""Run a quantized graph from one weighted layer to the next, all images at each.

What the rest of the graph reads is carried along in the 8 bits that the graph itself gives it. So
a walk costs little more than two runs of the graph, and its memory is that of the widest place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from converters.float_run import mean_over_places, open_graph

Biases = Mapping[str, NDArray[np.float32]]

_MEANS: Final = "channel_means"
_BACK_TO_FLOAT: Final = "DequantizeLinear"


class LayerWalk:
    """Carries images through a graph, up to the layer that is asked for.

    Args:
        model: a quantized graph with static shapes but for the batch.
        images: uint8 (images, height, width, 3), preprocessed.
    """

    def __init__(self, model: onnx.ModelProto, images: NDArray[np.uint8]) -> None:
        self._model = onnx.shape_inference.infer_shapes(model)
        graph = self._model.graph
        self._nodes = {node.name: node for node in graph.node}
        self._made_by = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        values = (*graph.input, *graph.value_info, *graph.output)
        self._values = {value.name: value for value in values}
        # Nodes that need not run again, by their first output.
        self._finished: set[str] = set()
        self._carried: list[dict[str, NDArray[np.generic]]] = [
            {graph.input[0].name: image[np.newaxis]} for image in images
        ]

    def mean_output(self, layer: str, biases: Biases) -> NDArray[np.float64]:
        """Mean of each output channel (channels,) of a layer, over images and places.

        Args:
            layer: a node's name; it must not come before the one that was asked for last.
            biases: of this layer and of those before it, in place of the graph's own.
        """
        node = self._nodes[layer]
        self._finished |= self._ancestors(node.input[0])
        reads, leaves = list(self._carried[0]), self._still_read()
        made = [name for name in leaves if name not in reads]
        # As written: the layer's output must be there before it is quantized.
        session = open_graph(self._part(node, reads, made, biases), optimise=False)
        rows = np.concatenate(list(self._advance(session, made, leaves)))
        return np.asarray(rows.reshape(len(rows), -1).mean(axis=0, dtype=np.float64))

    def _advance(
        self, session: ort.InferenceSession, made: list[str], leaves: list[str]
    ) -> Iterator[NDArray[np.float32]]:
        """Replace what is carried, image by image; gives the channel means of each image."""
        for position, carried in enumerate(self._carried):
            means, *found = session.run([_MEANS, *made], carried)
            known = {**carried, **dict(zip(made, found, strict=True))}
            self._carried[position] = {name: known[name] for name in leaves}
            yield means

    def _ancestors(self, tensor: str) -> set[str]:
        """The nodes that a tensor is made by, but for those that take it back to floats.

        Floats have four times the bytes, and making them again costs little.
        """
        nodes = self._between((), [tensor])
        return {node.output[0] for node in nodes if node.op_type != _BACK_TO_FLOAT}

    def _still_read(self) -> list[str]:
        """Tensors that are there and that unfinished nodes read, in the graph's order."""
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

    def _part(
        self, layer: onnx.NodeProto, reads: list[str], made: list[str], biases: Biases
    ) -> onnx.ModelProto:
        """The graph from what was read to what is made and to the layer's channel means."""
        nodes = self._between(reads, [*made, layer.output[0]])
        nodes = [_with_bias(node) if node.name in biases else node for node in nodes]
        used = {name for node in nodes for name in node.input}
        constants = [t for t in self._model.graph.initializer if t.name in used]
        own = {_bias_name(name): values for name, values in biases.items()}
        constants += [numpy_helper.from_array(v, n) for n, v in own.items() if n in used]
        means = helper.make_tensor_value_info(_MEANS, onnx.TensorProto.FLOAT, None)
        graph = helper.make_graph(
            [*nodes, mean_over_places(layer, _MEANS)],
            "part",
            [self._values[name] for name in reads],
            [means, *(self._values[name] for name in made)],
            constants,
        )
        part = helper.make_model(graph, opset_imports=self._model.opset_import)
        part.ir_version = self._model.ir_version
        return part

    def _between(
        self, reads: tuple[str, ...] | list[str], wanted: list[str]
    ) -> list[onnx.NodeProto]:
        """The nodes that make what is wanted of what was read, in the graph's order."""
        needed: set[str] = set()
        waiting = list(wanted)
        while waiting:
            name = waiting.pop()
            node = self._made_by.get(name)
            if node is not None and name not in reads and node.output[0] not in needed:
                needed.add(node.output[0])
                waiting += node.input
        return [node for node in self._model.graph.node if node.output[0] in needed]


def _with_bias(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[2] = _bias_name(node.name)
    return copy


def _bias_name(layer: str) -> str:
    return f"{layer}_bias_of_walk"
