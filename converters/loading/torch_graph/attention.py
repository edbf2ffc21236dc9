"""Exports torch's fused attention operators to ONNX. Runs in the child process.

In evaluation mode and without gradients, a trace of nn.MultiheadAttention and
nn.TransformerEncoderLayer contains these operators instead of layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.onnx import symbolic_helper


def self_attention(graph: Any, *arguments: Any) -> tuple[Any, Any]:
    """`aten::_native_multi_head_attention` for self-attention: the output and the weights."""
    query, key, value = arguments[:3]
    width, heads = (_number(argument, "i") for argument in arguments[3:5])
    if query is not key or key is not value:
        raise _unsupported("aten::_native_multi_head_attention of different tensors", query)
    _refuse_mask("aten::_native_multi_head_attention", arguments[9])
    return _attention(graph, query, width, heads, arguments[5:9])


def encoder_layer(graph: Any, *arguments: Any) -> Any:
    """`aten::_transformer_encoder_layer_fwd`: attention and two linear layers, with residuals."""
    images = arguments[0]
    width, heads = (_number(argument, "i") for argument in arguments[1:3])
    is_gelu, norm_first = (_number(argument, "b") for argument in arguments[7:9])
    epsilon = _number(arguments[9], "f")
    norms, linears = (arguments[10:12], arguments[12:14]), (arguments[14:16], arguments[16:18])
    _refuse_mask("aten::_transformer_encoder_layer_fwd", arguments[18])

    def normalised(values: Any, norm: Sequence[Any]) -> Any:
        return graph.op("LayerNormalization", values, *norm, axis_i=-1, epsilon_f=epsilon)

    def attended(values: Any) -> Any:
        return _attention(graph, values, width, heads, arguments[3:7])[0]

    def widened(values: Any) -> Any:
        hidden = _linear(graph, values, *linears[0])
        active = _gelu(graph, hidden) if is_gelu else graph.op("Relu", hidden)
        return _linear(graph, active, *linears[1])

    if norm_first:
        images = graph.op("Add", images, attended(normalised(images, norms[0])))
        return graph.op("Add", images, widened(normalised(images, norms[1])))
    images = normalised(graph.op("Add", images, attended(images)), norms[0])
    return normalised(graph.op("Add", images, widened(images)), norms[1])


def _attention(
    graph: Any, images: Any, width: int, heads: int, weights: Sequence[Any]
) -> tuple[Any, Any]:
    """Attention from (batch, length, width) to the same, and the weights' mean over the heads."""
    together = _linear(graph, images, *weights[:2])
    parts = graph.op("Reshape", together, _list(graph, [0, -1, 3, heads, width // heads]))
    parts = graph.op("Transpose", parts, perm_i=[2, 0, 3, 1, 4])
    query, key, value = (
        graph.op("Gather", parts, _list(graph, number), axis_i=0) for number in range(3)
    )
    scale = graph.op("Constant", value_t=torch.tensor(1 / math.sqrt(width // heads)))
    scores = graph.op(
        "MatMul", graph.op("Mul", query, scale), graph.op("Transpose", key, perm_i=[0, 1, 3, 2])
    )
    shares = graph.op("Softmax", scores, axis_i=-1)
    mixed = graph.op("Transpose", graph.op("MatMul", shares, value), perm_i=[0, 2, 1, 3])
    merged = graph.op("Reshape", mixed, _list(graph, [0, -1, width]))
    return _linear(graph, merged, *weights[2:]), graph.op(
        "ReduceMean", shares, axes_i=[1], keepdims_i=0
    )


def _linear(graph: Any, values: Any, weight: Any, bias: Any) -> Any:
    product = graph.op("MatMul", values, graph.op("Transpose", weight, perm_i=[1, 0]))
    return graph.op("Add", product, bias)


def _gelu(graph: Any, values: Any) -> Any:
    """X / 2 (1 + erf(x / sqrt 2)), in the order of operators that ONNX Runtime can fuse."""
    root, one, half = (
        graph.op("Constant", value_t=torch.tensor(number)) for number in (math.sqrt(2), 1.0, 0.5)
    )
    error = graph.op("Erf", graph.op("Div", values, root))
    return graph.op("Mul", graph.op("Mul", values, graph.op("Add", error, one)), half)


def _number(argument: Any, kind: str) -> Any:
    get_const: Any = symbolic_helper._get_const  # noqa: SLF001  # has no public name
    return get_const(argument, kind, "argument")


def _list(graph: Any, values: int | list[int]) -> Any:
    return graph.op("Constant", value_t=torch.tensor(values, dtype=torch.int64))


def _refuse_mask(operator: str, mask: Any) -> None:
    if not symbolic_helper._is_none(mask):  # noqa: SLF001  # has no public name
        raise _unsupported(f"{operator} with a mask", mask)


def _unsupported(what: str, value: Any) -> Exception:
    return torch.onnx.errors.SymbolicValueError(f"operator '{what}' has no ONNX form", value)
