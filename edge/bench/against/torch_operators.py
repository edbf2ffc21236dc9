"""What PyTorch computes for each ONNX operator of a classifier.

Each function adds the calls of one operator to a PyTorch program, a `torch.fx.Graph`. They are
those of the module that one would write by hand: `F.conv2d`, `F.relu`, `torch.add`. Semantics are
those of ONNX's operator documentation, opsets 11 to 20.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import fx

from edge.bench.against.onnx_nodes import Array, OnnxNode
from edge.errors import BackendError

_FLOAT: Final = 1  # TensorProto.FLOAT


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The program as far as it is built; `values` has what stands for each ONNX name."""

    graph: fx.Graph
    values: dict[str, fx.Node]
    constants: Mapping[str, Array]

    def inputs(self, node: OnnxNode) -> list[fx.Node]:
        """What stands for a node's inputs, without the optional ones that are missing."""
        return [self.values[name] for name in node.inputs if name]

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> fx.Node:
        """Add a call."""
        return self.graph.call_function(function, args, kwargs)

    def constant(self, node: OnnxNode, number: int) -> list[Any] | None:
        """The values of a constant input; None if the node has no such input.

        Raises:
            BackendError: the input is computed, which this translation does not follow.
        """
        name = node.inputs[number] if number < len(node.inputs) else ""
        if not name:
            return None
        if name not in self.constants:
            raise BackendError(f"the graph computes the argument {name} of {node.kind}")
        return list(self.constants[name].ravel().tolist())


Operator = Callable[[Program, OnnxNode], fx.Node]


def _same(function: Callable[..., Any]) -> Operator:
    """An operator that takes its inputs and nothing else."""
    return lambda program, node: program.call(function, *program.inputs(node))


def _cast(program: Program, node: OnnxNode) -> fx.Node:
    if node.attributes["to"] != _FLOAT:
        raise BackendError("the graph casts to another type than float")
    return program.call(torch.Tensor.float, *program.inputs(node))


def _transpose(program: Program, node: OnnxNode) -> fx.Node:
    return program.call(torch.permute, *program.inputs(node), list(node.attributes["perm"]))


def _conv(program: Program, node: OnnxNode) -> fx.Node:
    image, *weights = program.inputs(node)
    rank = program.constants[node.inputs[1]].ndim - 2 if node.inputs[1] in program.constants else 0
    if rank != 2:
        raise BackendError("the graph has a convolution that is not two-dimensional")
    image, padding = _padding(program, node, image, 0.0)
    attributes = node.attributes
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    return program.call(
        F.conv2d,
        image,
        *weights,
        stride=tuple(strides),
        padding=padding,
        dilation=tuple(dilations),
        groups=attributes.get("group", 1),
    )


def _padding(
    program: Program, node: OnnxNode, image: fx.Node, value: float
) -> tuple[fx.Node, tuple[int, ...]]:
    """The image and the padding of an operator; a padding that differs by side is done before."""
    automatic = node.attributes.get("auto_pad", b"NOTSET").decode()
    if automatic not in {"NOTSET", "VALID"}:
        raise BackendError(f"the graph has {node.kind} with auto_pad {automatic}")
    pads = list(node.attributes.get("pads", [0, 0, 0, 0]))
    begin, end = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    if begin == end:
        return image, tuple(begin)
    # PyTorch takes the last axis first, each as (begin, end).
    sides = [pad for pair in zip(reversed(begin), reversed(end), strict=True) for pad in pair]
    return program.call(F.pad, image, sides, value=value), (0,) * len(begin)


def _batch_norm(program: Program, node: OnnxNode) -> fx.Node:
    image, scale, bias, mean, variance = program.inputs(node)
    epsilon = node.attributes.get("epsilon", 1e-5)
    return program.call(F.batch_norm, image, mean, variance, scale, bias, eps=epsilon)


def _clip(program: Program, node: OnnxNode) -> fx.Node:
    low, high = program.constant(node, 1), program.constant(node, 2)
    image = program.values[node.inputs[0]]
    if low and high:
        return program.call(F.hardtanh, image, low[0], high[0])
    return program.call(torch.clamp, image, low[0] if low else None, high[0] if high else None)


def _hard_sigmoid(program: Program, node: OnnxNode) -> fx.Node:
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    scaled = program.call(torch.mul, *program.inputs(node), alpha)
    return program.call(torch.clamp, program.call(torch.add, scaled, beta), 0.0, 1.0)


def _leaky_relu(program: Program, node: OnnxNode) -> fx.Node:
    return program.call(F.leaky_relu, *program.inputs(node), node.attributes.get("alpha", 0.01))


def _gelu(program: Program, node: OnnxNode) -> fx.Node:
    approximate = node.attributes.get("approximate", b"none").decode()
    return program.call(F.gelu, *program.inputs(node), approximate=approximate)


def _softmax(program: Program, node: OnnxNode) -> fx.Node:
    return program.call(torch.softmax, *program.inputs(node), node.attributes.get("axis", -1))


def _max_pool(program: Program, node: OnnxNode) -> fx.Node:
    image, padding = _padding(program, node, program.inputs(node)[0], float("-inf"))
    attributes = node.attributes
    return program.call(
        F.max_pool2d,
        image,
        tuple(attributes["kernel_shape"]),
        stride=tuple(attributes.get("strides", [1, 1])),
        padding=padding,
        dilation=tuple(attributes.get("dilations", [1, 1])),
        ceil_mode=bool(attributes.get("ceil_mode", 0)),
    )


def _average_pool(program: Program, node: OnnxNode) -> fx.Node:
    image, padding = _padding(program, node, program.inputs(node)[0], 0.0)
    attributes = node.attributes
    if image is not program.inputs(node)[0] and not attributes.get("count_include_pad", 0):
        raise BackendError("the graph has an AveragePool whose padding differs by side")
    return program.call(
        F.avg_pool2d,
        image,
        tuple(attributes["kernel_shape"]),
        stride=tuple(attributes.get("strides", [1, 1])),
        padding=padding,
        ceil_mode=bool(attributes.get("ceil_mode", 0)),
        count_include_pad=bool(attributes.get("count_include_pad", 0)),
    )


def _global_average(program: Program, node: OnnxNode) -> fx.Node:
    return program.call(F.adaptive_avg_pool2d, *program.inputs(node), 1)


def _reduce_mean(program: Program, node: OnnxNode) -> fx.Node:
    # An attribute before opset 18, an input since.
    axes = node.attributes.get("axes") or program.constant(node, 1)
    if axes is None:
        raise BackendError("the graph has a ReduceMean of all axes")
    keeps = bool(node.attributes.get("keepdims", 1))
    return program.call(torch.mean, program.values[node.inputs[0]], list(axes), keeps)


def _flatten(program: Program, node: OnnxNode) -> fx.Node:
    axis = node.attributes.get("axis", 1)
    if axis != 1:
        raise BackendError(f"the graph has a Flatten of axis {axis}")
    return program.call(torch.flatten, *program.inputs(node), 1)


def reshape(image: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Reshape as ONNX does: 0 keeps the size of that axis."""
    return image.reshape([size or image.shape[axis] for axis, size in enumerate(shape)])


def _reshape(program: Program, node: OnnxNode) -> fx.Node:
    return program.call(reshape, program.values[node.inputs[0]], program.constant(node, 1))


def _axes_first_input(function: Callable[..., Any]) -> Operator:
    """An operator that is applied to one axis after the other."""

    def apply(program: Program, node: OnnxNode) -> fx.Node:
        axes = list(node.attributes.get("axes") or program.constant(node, 1) or [])
        result = program.values[node.inputs[0]]
        for axis in sorted(axes, reverse=function is torch.squeeze):
            result = program.call(function, result, axis)
        return result

    return apply


def _gemm(program: Program, node: OnnxNode) -> fx.Node:
    attributes = node.attributes
    if attributes.get("transA", 0) or {attributes.get(k, 1.0) for k in ("alpha", "beta")} != {1.0}:
        raise BackendError("the graph has a Gemm with transA, alpha or beta")
    image, weights, *bias = program.inputs(node)
    if not attributes.get("transB", 0):
        weights = program.call(torch.t, weights)
    return program.call(F.linear, image, weights, *bias)


def _layer_norm(program: Program, node: OnnxNode) -> fx.Node:
    image, scale, *bias = program.inputs(node)
    shape = list(program.constants[node.inputs[1]].shape)
    epsilon = node.attributes.get("epsilon", 1e-5)
    return program.call(F.layer_norm, image, shape, scale, *bias, eps=epsilon)


def _concat(program: Program, node: OnnxNode) -> fx.Node:
    return program.call(torch.cat, program.inputs(node), node.attributes["axis"])


def _identity(program: Program, node: OnnxNode) -> fx.Node:
    return program.values[node.inputs[0]]


OPERATORS: Final[Mapping[str, Operator]] = {
    "Add": _same(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _same(torch.div),
    "Dropout": _identity,
    "Erf": _same(torch.erf),
    "Exp": _same(torch.exp),
    "Flatten": _flatten,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _same(F.hardswish),
    "Identity": _identity,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _leaky_relu,
    "MatMul": _same(torch.matmul),
    "MaxPool": _max_pool,
    "Mul": _same(torch.mul),
    "Pow": _same(torch.pow),
    "ReduceMean": _reduce_mean,
    "Relu": _same(F.relu),
    "Reshape": _reshape,
    "Sigmoid": _same(torch.sigmoid),
    "Softmax": _softmax,
    "Sqrt": _same(torch.sqrt),
    "Squeeze": _axes_first_input(torch.squeeze),
    "Sub": _same(torch.sub),
    "Tanh": _same(torch.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _axes_first_input(torch.unsqueeze),
}
