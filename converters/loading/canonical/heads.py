"""Removes a final softmax, log-softmax or sigmoid, so that a graph ends in logits.

The confidence of every label is the softmax of the logits (`edge.postprocess`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.loading.canonical.working_model.graph_session import is_near, open_graph
from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.onnx_graph.editing import bypass, copy_of, prune
from converters.onnx_graph.lookup import array, constants, producers
from edge.postprocess import softmax

Head = Callable[[NDArray[Any]], NDArray[Any]]

# Operators that may follow a head: they change no values, except that Clip changes extreme ones.
_PASSING: Final = frozenset(
    {
        *("Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose"),
        *("Cast", "Dropout", "Clip"),
    }
)
# Operators before a Log that guard against the logarithm of zero.
_GUARDS: Final = _PASSING | {"Add", "Max"}
_TOLERANCE: Final = 1e-4


def log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Logarithms of the probabilities (n, classes), computed without underflow."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def sigmoid(logits: NDArray[Any]) -> NDArray[Any]:
    """The logistic function."""
    # Computed by tanh, which cannot overflow.
    return np.asarray((1 + np.tanh(logits / 2)) / 2)


HEADS: Final[dict[str, Head]] = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "sigmoid": sigmoid,
}


def remove_head(working: WorkingModel) -> None:
    """Remove a softmax, log-softmax or sigmoid at the end, if the rest then gives its logits."""
    source = _source_of_head(working.model)
    if source is None:
        return
    candidate = copy_of(working.model)
    _cut(candidate, *source)
    try:
        logits = open_graph(candidate).rows(working.samples, working.batch)
    except RuntimeError:
        return
    found = logits[candidate.graph.output[0].name].astype(np.float64)
    for name, head in HEADS.items():
        if is_near(head(found), working.source_logits(), _TOLERANCE):
            working.model, working.removed_head = candidate, name
            working.changes.append(f"the {name.replace('_', '-')} at its end was removed")
            return


def _source_of_head(model: onnx.ModelProto) -> tuple[str, str] | None:
    """The head's last tensor, and the logits from which it is computed."""
    computed = producers(model)
    end = _before(computed, model.graph.output[0].name, _PASSING)
    node = computed.get(end)
    if node is not None and node.op_type == "Log":
        inner = _before(computed, node.input[0], _GUARDS)
        source = _logits_of(model, computed, inner)
    else:
        source = _logits_of(model, computed, end)
    return None if source is None else (end, source)


def _before(computed: dict[str, onnx.NodeProto], name: str, passing: frozenset[str]) -> str:
    while (node := computed.get(name)) is not None and node.op_type in passing:
        name = node.input[0]
    return name


def _logits_of(
    model: onnx.ModelProto, computed: dict[str, onnx.NodeProto], name: str
) -> str | None:
    """The input of a head, which may be one operator or its formula in several."""
    node = computed.get(name)
    if node is None:
        return None
    if node.op_type in ("Softmax", "LogSoftmax", "Sigmoid"):
        return str(node.input[0])
    if node.op_type == "Exp":
        inner = computed.get(node.input[0])
        return inner.input[0] if inner is not None and inner.op_type == "LogSoftmax" else None
    if node.op_type == "Div":
        return _of_softmax(computed, node) or _of_sigmoid(model, computed, node)
    if node.op_type == "Reciprocal":
        return _of_logistic(model, computed, node.input[0])
    return None


def _of_softmax(computed: dict[str, onnx.NodeProto], node: onnx.NodeProto) -> str | None:
    """Exp(x) / ReduceSum(Exp(x)), with or without the largest x subtracted."""
    power, total = computed.get(node.input[0]), computed.get(node.input[1])
    if power is None or total is None or power.op_type != "Exp" or total.op_type != "ReduceSum":
        return None
    shifted = computed.get(power.input[0])
    if shifted is not None and shifted.op_type == "Sub":
        largest = computed.get(shifted.input[1])
        if largest is not None and largest.op_type == "ReduceMax":
            return str(shifted.input[0])
    return str(power.input[0])


def _of_sigmoid(
    model: onnx.ModelProto, computed: dict[str, onnx.NodeProto], node: onnx.NodeProto
) -> str | None:
    """1 / (1 + Exp(-x))."""
    one = array(constants(model), node.input[0])
    return _of_logistic(model, computed, node.input[1]) if one is not None else None


def _of_logistic(
    model: onnx.ModelProto, computed: dict[str, onnx.NodeProto], name: str
) -> str | None:
    total = computed.get(name)
    if total is None or total.op_type != "Add":
        return None
    known = constants(model)
    power = next((computed.get(term) for term in total.input if term not in known), None)
    minus = computed.get(power.input[0]) if power is not None and power.op_type == "Exp" else None
    return str(minus.input[0]) if minus is not None and minus.op_type == "Neg" else None


def _cut(model: onnx.ModelProto, end: str, source: str) -> None:
    """Bypass the head, and remove Clip nodes after it, whose limits are for probabilities."""
    computed = producers(model)
    name = model.graph.output[0].name
    while name != end:
        node = computed[name]
        if node.op_type == "Clip":
            bypass(model, name, node.input[0])
        name = node.input[0]
    bypass(model, end, source)
    prune(model)
