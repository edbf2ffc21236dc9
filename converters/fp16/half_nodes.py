"""Which nodes of a graph run in FP16, and which have to stay in FP32."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import onnx
from onnx import TensorProto

from converters.fp16.float_ports import QUANTIZERS, FloatPorts, float_ports
from converters.onnx_graph.lookup import readers_by_tensor
from converters.onnx_graph.nested import bodies

# They give the sizes of a tensor, whatever its values are.
_SIZES = frozenset({"Shape", "Size"})


class HalfNodes:
    """The nodes of a graph that run in FP16, with their ports.

    In FP32 stay:
      - what ONNX defines for FP32 alone, or types by an attribute (Range, RandomNormal ...),
      - bodies of If and Loop,
      - floats that are computed of sizes, such as the scales of a Resize: FP16 holds whole numbers
        up to 2048 only,
      - readers and makers of the tensors in `kept_float`,
      - nodes with a sum within them that FP16 cannot hold.

    Args:
        types: element type of every tensor of the graph, by name.
        kept_float: tensors that FP16 cannot hold.
        summing: first outputs of nodes with such a sum.
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
        """The ports of a node that runs in FP16, None where it stays in FP32."""
        return self._ports.get(_first_output(node))

    def _is_half(self, node: onnx.NodeProto, ports: FloatPorts) -> bool:
        if any(True for _ in bodies(node)) or _first_output(node) in self._sized:
            return False
        if _first_output(node) in self._summing:
            return False
        if node.op_type == "DequantizeLinear" and self._is_of_float_quantizer(node):
            # Its output is the same tensor in 8 bits, which FP16 cannot hold either.
            self._kept.update(node.output)
        if not self._kept.isdisjoint((*node.input, *node.output)):
            return False
        is_typed = (
            is_typed or not is_half or self._types.get(name) != TensorProto.FLOAT
            for name, is_half, is_typed in zip(
                node.output, ports.outputs, ports.typed_by_inputs, strict=True
            )
        )
        # A float output that is no type variable is FP32 in any case.
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
        """The quantizers of a weight have the type of the layer that reads it.

        A conversion between them would hide the integer weight from TensorRT.
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
    """By which a node is known: names are not unique, and protobuf makes an object at each access.

    Outputs that nobody needs may be left out, the first of them too.
    """
    return next((str(name) for name in node.output if name), "")
