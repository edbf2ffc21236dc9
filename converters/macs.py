"""How much arithmetic a layer costs: multiply-accumulate operations of one image."""

from __future__ import annotations

from collections.abc import Collection

import onnx
from numpy import prod


def layer_macs(model: onnx.ModelProto) -> dict[str, int]:
    """Multiply-accumulates of each Conv and Gemm node, by node name; shapes must be inferred."""
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.output)
    }
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    return {
        node.name: _macs(weights[node.input[1]], shapes.get(node.output[0], []))
        for node in model.graph.node
        if node.op_type in ("Conv", "Gemm") and node.input[1] in weights
    }


def int8_share(model: onnx.ModelProto, quantized: Collection[str]) -> float:
    """Share of a model's multiply-accumulates that lies in the named layers."""
    macs = layer_macs(model)
    return sum(macs[name] for name in quantized if name in macs) / max(sum(macs.values()), 1)


def _macs(weight: list[int], output: list[int]) -> int:
    # A convolution's weight is (outputs, inputs / groups, height, width): all of it is used once
    # for each place of the output.
    places = prod(output[2:], dtype=int) if len(output) == 4 else 1
    return int(prod(weight, dtype=int) * places)
