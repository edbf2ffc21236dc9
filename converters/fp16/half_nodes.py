"""Decides which nodes of a graph run in FP16, and which must stay in FP32."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import onnx
from onnx import TensorProto

from converters.fp16.float_ports import QUANTIZERS, FloatPorts, float_ports
from converters.onnx_graph.lookup import readers_by_tensor
from converters.onnx_graph.nested import bodies

# Their outputs depend on a tensor's shape, not on its values.
_SIZES = frozenset({"Shape", "Size"})


class HalfNodes:
    """The nodes of a graph that run in FP16, with their ports.

    These stay in FP32:
      - operators that ONNX defines only for FP32, or whose type is an attribute (Range,
        RandomNormal ...),
      - bodies of If and Loop,
      - floats computed from sizes, such as the scales of a Resize: FP16 represents whole numbers
        exactly only up to 2048,
      - nodes that read or compute a tensor in `kept_float`,
      - nodes with an internal sum that FP16 cannot hold.

    Args:
        types: element type of every tensor of the graph, by name.
        kept_float: tensors that FP16 cannot hold.
        summing: first outputs of nodes with an internal sum that FP16 cannot hold.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        opset: int,
        types: dict[str, int],
        kept_float: Collection[str],
        summing: Collection[str] = (),
    ) -> None:
        self._ports: dict[str, FloatPorts] = {}
        self._types = types
        self._kept = set(kept_float)
        self._summing = summing
        self._constant = {tensor.name for tensor in model.graph.initializer}
        self._sized = self._computed_of_sizes(model.graph.node)
        self._made_by = {name: node for node in model.graph.node for name in node.output}
        for node in model.graph.node:
            ports = float_ports(node, opset)
            if ports is not None and self._is_half(node, ports):
                self._ports[_first_output(node)] = ports
        self._keep_quantized_weights_with_their_readers(model.graph.node)

    def ports_of(self, node: onnx.NodeProto) -> FloatPorts | None:
        """The ports of a node that runs in FP16; None if it stays in FP32."""
        return self._ports.get(_first_output(node))

    def _is_half(self, node: onnx.NodeProto, ports: FloatPorts) -> bool:
        if any(True for _ in bodies(node)) or _first_output(node) in self._sized:
            return False
        if _first_output(node) in self._summing:
            return False
        if node.op_type == "DequantizeLinear" and self._is_of_float_quantizer(node):
            # Its output has the values of a tensor that FP16 cannot hold.
            self._kept.update(node.output)
        if not self._kept.isdisjoint((*node.input, *node.output)):
            return False
        is_typed = (
            is_typed or not is_half or self._types.get(name) != TensorProto.FLOAT
            for name, is_half, is_typed in zip(
                node.output, ports.outputs, ports.typed_by_inputs, strict=True
            )
        )
        # A float output without the type of an input is always FP32.
        return all(is_typed)

    def _is_of_float_quantizer(self, node: onnx.NodeProto) -> bool:
        source = self._made_by.get(node.input[0])
        return source is not None and self.ports_of(source) is None

    def _computed_of_sizes(self, nodes: Iterable[onnx.NodeProto]) -> set[str]:
        sized: set[str] = set()
        for node in nodes:
            read = {name for name in node.input if name} - self._constant
            if node.op_type in _SIZES or (read and read <= sized):
                sized.update(node.output)
        return sized

    def _keep_quantized_weights_with_their_readers(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Give the quantizers of a weight the type of the layer that reads it.

        With a Cast between them TensorRT would not recognise the weight as quantized.
        """
        readers = readers_by_tensor(nodes)
        for node in reversed(list(nodes)):
            if node.op_type not in QUANTIZERS or not self._is_of_constant(node):
                continue
            found = readers.get(_first_output(node), [])
            if found and all(self.ports_of(reader) is None for reader in found):
                self._ports.pop(_first_output(node), None)

    def _is_of_constant(self, node: onnx.NodeProto) -> bool:
        source = self._made_by.get(node.input[0])
        if source is None:
            return node.input[0] in self._constant
        return source.op_type in QUANTIZERS and self._is_of_constant(source)


def _first_output(node: onnx.NodeProto) -> str:
    """The first output that is not left out; it identifies a node.

    Node names need not be unique, and protobuf returns a new object at each access.
    """
    return next((str(name) for name in node.output if name), "")
