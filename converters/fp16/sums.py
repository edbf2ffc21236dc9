"""Adds nodes that compute the internal sums of operators, to check them against FP16's range.

An operator's output may fit into FP16 although a sum inside it does not. Whether a TensorRT kernel
sums in FP16 or FP32 is not known, and TensorRT warns about reductions and powers in FP16. ONNX
Runtime on the CPU sums in FP32, so an overflow would not show there.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Final

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from converters.onnx_graph.lookup import attribute

_SUM: Final = "{}_sum_within"


def with_sums(model: onnx.ModelProto) -> dict[str, str]:
    """Add nodes for the internal sums of a graph's operators, in place.

    Returns:
        The tensor with the sums, by the first output of the operator's node.
    """
    sums = {}
    for node in list(model.graph.node):
        if node.op_type in _SUM_BUILDERS and node.output[0]:
            written = _Steps(model, node)
            _SUM_BUILDERS[node.op_type](written)
            sums[node.output[0]] = written.last
    return sums


class _Steps:
    """A chain of nodes that compute the internal sum of one operator."""

    def __init__(self, model: onnx.ModelProto, node: NodeProto) -> None:
        self._graph, self.node = model.graph, node
        self.given, self.made = str(node.input[0]), str(node.output[0])
        self.last, self._count = self.given, 0

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        self._count += 1
        self.last = f"{_SUM.format(self.made)}_{self._count}"
        self._graph.node.append(helper.make_node(kind, inputs, [self.last], **attributes))
        return self.last

    def constant(self, value: np.ndarray) -> str:
        """Add an initializer; returns its name."""
        self._count += 1
        name = f"{_SUM.format(self.made)}_{self._count}"
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def squares_along(self, axes: list[int]) -> None:
        """Add nodes for the sum of squares of the input along axes."""
        self.add("Mul", self.given, self.given)
        self.add("ReduceSum", self.last, self.constant(np.array(axes, np.int64)))


def _layer(steps: _Steps) -> None:
    _squares_from(steps, attribute(steps.node, "axis", -1))


def _instance(steps: _Steps) -> None:
    _squares_from(steps, 2)


def _squares_from(steps: _Steps, axis: int) -> None:
    squares = steps.add("Mul", steps.given, steps.given)
    rows = steps.add("Flatten", squares, axis=axis)
    steps.add("ReduceSum", rows, steps.constant(np.array([1], np.int64)))


def _power(steps: _Steps) -> None:
    steps.squares_along([attribute(steps.node, "axis", -1)])


def _mean_variance(steps: _Steps) -> None:
    steps.squares_along(list(attribute(steps.node, "axes", [0, 2, 3])))


def _response(steps: _Steps) -> None:
    steps.squares_along([1])


def _root(steps: _Steps) -> None:
    steps.add("Mul", steps.made, steps.made)


def _logarithm(steps: _Steps) -> None:
    steps.add("Exp", steps.made)


def _mean(steps: _Steps) -> None:
    """The mean times the number of its values."""
    sizes = [
        steps.add("Cast", steps.add("Size", name), to=TensorProto.FLOAT)
        for name in (steps.given, steps.made)
    ]
    steps.add("Mul", steps.made, steps.add("Div", *sizes))


def _pool(steps: _Steps) -> None:
    count = prod(attribute(steps.node, "kernel_shape"))
    steps.add("Mul", steps.made, steps.constant(np.array(count, np.float32)))


_SUM_BUILDERS: Final[dict[str, Callable[[_Steps], None]]] = {
    "LayerNormalization": _layer,
    "InstanceNormalization": _instance,
    "MeanVarianceNormalization": _mean_variance,
    "LpNormalization": _power,
    "LRN": _response,
    # ONNX expands these into simpler operators that compute in the type of the input: in FP16 their
    # sums can overflow.
    **dict.fromkeys(("ReduceL2", "LpPool", "GlobalLpPool"), _root),
    **dict.fromkeys(("ReduceLogSum", "ReduceLogSumExp", "Softplus"), _logarithm),
    **dict.fromkeys(("ReduceMean", "GlobalAveragePool"), _mean),
    "AveragePool": _pool,
}
