"""Sums within one operator: FP16 cannot hold some of them where it holds the operator's output.

TensorRT warns of FP16 in reductions and powers; what a kernel sums up in is its own choice. ONNX
Runtime on the CPU sums in FP32 and shows none of it.
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
    """Add the sums within a graph's operators, in place.

    Returns:
        By a node's first output the tensor that holds its sums.
    """
    sums = {}
    for node in list(model.graph.node):
        if node.op_type in _WRITTEN and node.output[0]:
            written = _Steps(model, node)
            _WRITTEN[node.op_type](written)
            sums[node.output[0]] = written.last
    return sums


class _Steps:
    """Nodes that compute what an operator sums up, one behind the other."""

    def __init__(self, model: onnx.ModelProto, node: NodeProto) -> None:
        self._graph, self.node = model.graph, node
        self.given, self.made = str(node.input[0]), str(node.output[0])
        self.last, self._count = self.given, 0

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator and give the name of its output."""
        self._count += 1
        self.last = f"{_SUM.format(self.made)}_{self._count}"
        self._graph.node.append(helper.make_node(kind, inputs, [self.last], **attributes))
        return self.last

    def constant(self, value: np.ndarray) -> str:
        """Add an initializer and give its name."""
        self._count += 1
        name = f"{_SUM.format(self.made)}_{self._count}"
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def squares_along(self, axes: list[int]) -> None:
        """Squares of the input, added up along axes."""
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
    """The mean times as many values as went into it."""
    sizes = [
        steps.add("Cast", steps.add("Size", name), to=TensorProto.FLOAT)
        for name in (steps.given, steps.made)
    ]
    steps.add("Mul", steps.made, steps.add("Div", *sizes))


def _pool(steps: _Steps) -> None:
    count = prod(attribute(steps.node, "kernel_shape"))
    steps.add("Mul", steps.made, steps.constant(np.array(count, np.float32)))


_WRITTEN: Final[dict[str, Callable[[_Steps], None]]] = {
    "LayerNormalization": _layer,
    "InstanceNormalization": _instance,
    "MeanVarianceNormalization": _mean_variance,
    "LpNormalization": _power,
    "LRN": _response,
    # ONNX defines them by operators in the type of the input, so that the sum is in FP16 too.
    **dict.fromkeys(("ReduceL2", "LpPool", "GlobalLpPool"), _root),
    **dict.fromkeys(("ReduceLogSum", "ReduceLogSumExp", "Softplus"), _logarithm),
    **dict.fromkeys(("ReduceMean", "GlobalAveragePool"), _mean),
    "AveragePool": _pool,
}
