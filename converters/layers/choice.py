"""Chooses the activations that are quantized to eight bits for a target.

The inputs of weighted layers are always quantized. Additions, products and similar operators are
quantized only between layers with quantized outputs and layers with quantized inputs. A MatMul
outputs floats, and layer norm, softmax and GELU read floats; quantizers between those would cost
time and accuracy, and keep ONNX Runtime and TensorRT from fusing them.

Products of two activations, as in attention, stay in float. In ONNX Runtime they are slower in
integers, since neither factor can be packed beforehand: 0.36 ms instead of 0.26 ms for the three
heads of ViT-Tiny (2026-11-26, Xeon with AVX-512 VNNI, one thread). TensorRT fuses attention into
one FP16 kernel if there are no quantizers in it.

Two kinds of convolutions with float outputs stay in float too, as in ConvNeXt: depthwise ones
before a layer norm, and strided ones after a layer norm, between two stages. They have little
arithmetic per input, so integers save no time. And the first read, the second write, the residual
sum to which every block adds, which eight bits represent badly. In ConvNeXt-Tiny they caused two
thirds of the divergence and have 6 % of the arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, field
from typing import Final

import onnx
from onnx import numpy_helper

from converters.layers.placement import Placement
from converters.layers.weighted import has_weight
from converters.onnx_graph.lookup import attribute, constants, readers_by_tensor

# The outputs of these operators are always float.
FLOAT_OUTPUTS: Final = frozenset(
    {
        *("MatMul", "Einsum", "Attention", "LSTM", "GRU", "RNN"),
        *("LayerNormalization", "GroupNormalization", "InstanceNormalization", "RMSNormalization"),
        *("Softmax", "LogSoftmax", "Erf", "Gelu", "Tanh", "Pow", "Sqrt", "Exp"),
    }
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is quantized. Nodes are identified by their first output.

    Attributes:
        reads: by quantized node, the activations that it reads quantized.
        written: outputs of convolutions that are quantized for all readers, also for float ones:
            ONNX Runtime runs a convolution in integers only if its output is quantized.
        clamped: outputs of Relu and Clip nodes whose work the quantizer does, each with the
            tensor that is quantized instead.
    """

    reads: dict[str, list[str]]
    written: tuple[str, ...]
    clamped: dict[str, str]


def choose(
    model: onnx.ModelProto,
    placement: Placement,
    available: Container[str],
    *,
    kept_float: Collection[str] = (),
) -> Choice:
    """Choose what to quantize in a graph for a target.

    Args:
        available: activations that can be quantized.
        kept_float: names of nodes that stay in float.
    """
    graph = _Graph(model, placement, available)
    reads = {
        node.output[0]: inputs
        for node in model.graph.node
        if node.name not in kept_float and (inputs := graph.quantized_inputs(node))
    }
    if placement.symmetric:
        return Choice(reads, (), {})
    written = graph.written(reads)
    return Choice(reads, written, graph.clamped(reads, written))


@dataclass(slots=True)
class _Graph:
    model: onnx.ModelProto
    placement: Placement
    available: Container[str]
    _constants: dict[str, onnx.TensorProto] = field(init=False)
    _ranks: dict[str, int] = field(init=False)
    _readers: dict[str, list[onnx.NodeProto]] = field(init=False)
    _floats: set[str] = field(init=False)
    _wanted: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self._constants = constants(self.model)
        self._ranks = {name: len(tensor.dims) for name, tensor in self._constants.items()}
        self._readers = readers_by_tensor(self.model.graph.node)
        self._floats = self._tensors_in_float()
        self._wanted = self._tensors_wanted_in_integers()

    def quantized_inputs(self, node: onnx.NodeProto) -> list[str]:
        """The activations that a node reads quantized; empty if it stays in float."""
        activations = [name for name in node.input if name and name not in self._constants]
        if not activations or any(name not in self.available for name in activations):
            return []
        if has_weight(node, self._ranks):
            stays = self._is_on_float_residual(node, self._wanted) or not _is_linear(node)
            return [] if stays else activations
        if self._floats.intersection(activations) or not self._may_be_quantized(node, activations):
            return []
        if node.op_type == "Add" and not self.placement.both_sides_of_add:
            return [self._identity(activations)]
        return activations if node.output[0] in self._wanted else []

    def written(self, reads: Mapping[str, list[str]]) -> tuple[str, ...]:
        """Outputs of quantized convolutions that also have a float reader."""
        outputs = {value.name for value in self.model.graph.output}
        found = []
        for node in self.model.graph.node:
            if node.op_type != "Conv" or node.output[0] not in reads:
                continue
            (name,) = node.output
            readers = self._readers.get(name, [])
            if len(readers) == 1 and self._is_clamp(readers[0]):
                (name,) = readers[0].output
            is_all_quantized = all(
                name in reads.get(reader.output[0], ()) for reader in self._readers.get(name, [])
            )
            if not is_all_quantized and name in self.available and name not in outputs:
                found.append(name)
        return tuple(found)

    def clamped(self, reads: Mapping[str, list[str]], written: Collection[str]) -> dict[str, str]:
        """Outputs of Relu and Clip that are only read quantized, with the nodes' inputs.

        Unsigned quantization with zero point 0 saturates at 0 and at the top of its range, as the
        node does. ONNX Runtime fuses a layer with the quantizer of its output only if there is no
        node between them.
        """
        outputs = {value.name for value in self.model.graph.output}
        return {
            node.output[0]: node.input[0]
            for node in self.model.graph.node
            if self._is_clamp(node)
            and node.output[0] not in outputs
            and node.input[0] not in written
            and (node.output[0] in written or self._is_only_read(node.output[0], by=reads))
        }

    def _is_only_read(self, name: str, *, by: Container[str]) -> bool:
        return all(reader.output[0] in by for reader in self._readers.get(name, []))

    def _tensors_in_float(self) -> set[str]:
        """Outputs of FLOAT_OUTPUTS, and all that is computed from them up to a weighted layer."""
        found: set[str] = set()
        for node in self.model.graph.node:
            is_layer = has_weight(node, self._ranks) and node.op_type != "MatMul"
            if node.op_type in FLOAT_OUTPUTS or (not is_layer and found.intersection(node.input)):
                found.update(node.output)
        return found

    def _tensors_wanted_in_integers(self) -> set[str]:
        """Inputs of weighted layers, and the tensors that they are computed from in integers."""
        found = {value.name for value in self.model.graph.output}
        for node in reversed(self.model.graph.node):
            if has_weight(node, self._ranks):
                if not self._is_on_float_residual(node, found):
                    found.add(node.input[0])
            elif any(name in found and name not in self._floats for name in node.output):
                found.update(node.input)
        return found

    def _may_be_quantized(self, node: onnx.NodeProto, activations: list[str]) -> bool:
        if node.op_type in self.placement.moving:
            return activations == [node.input[0]]
        is_arithmetic = node.op_type == "Add" or node.op_type in self.placement.arithmetic
        return is_arithmetic and len(activations) == len(node.input)

    def _is_on_float_residual(self, node: onnx.NodeProto, wanted: Collection[str]) -> bool:
        """Whether a convolution reads or starts a residual sum that is in float."""
        if node.op_type != "Conv" or node.output[0] in wanted:
            return False
        inputs_per_group = self._constants[node.input[1]].dims[1]
        is_depthwise = attribute(node, "group", 1) > 1 and inputs_per_group == 1
        is_strided = max(attribute(node, "strides", [1])) > 1
        return bool(is_depthwise or (is_strided and node.input[0] in self._floats))

    def _identity(self, inputs: list[str]) -> str:
        """The input of a residual addition that skipped the block.

        It is the input that other nodes read too. In a block that changes the shape, both inputs
        come from a convolution; then it is the one that is computed later in the graph's order.
        """
        readers = {name: len(self._readers[name]) for name in inputs}
        if readers[inputs[0]] != readers[inputs[1]]:
            return max(inputs, key=lambda name: readers[name])
        nodes = self.model.graph.node
        order = {output: i for i, node in enumerate(nodes) for output in node.output}
        return max(inputs, key=lambda name: order.get(name, -1))

    def _is_clamp(self, node: onnx.NodeProto) -> bool:
        """Whether a node only clips at zero, and perhaps at a constant above."""
        if node.op_type == "Relu":
            return True
        if node.op_type != "Clip" or len(node.input) < 2 or node.input[1] not in self._constants:
            return False
        return float(numpy_helper.to_array(self._constants[node.input[1]])) == 0.0


def _is_linear(node: onnx.NodeProto) -> bool:
    """Whether a node is a plain layer; a Gemm may also scale or transpose its input."""
    if node.op_type != "Gemm":
        return True
    plain = {"transA": 0, "alpha": 1.0, "beta": 1.0}
    return all(attribute(node, name, value) == value for name, value in plain.items())
