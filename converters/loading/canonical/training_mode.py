"""Refuses models exported in training mode, in which Dropout and BatchNormalization are active."""

from __future__ import annotations

import onnx

from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.onnx_graph.lookup import array, attribute, constants
from converters.onnx_graph.nested import bodies
from edge.errors import ModelError


def refuse_training_mode(working: WorkingModel) -> None:
    """Check that no node is in training mode.

    Raises:
        ModelError: one is.
    """
    found = _training_node(working.model.graph, constants(working.model))
    if found is not None:
        raise in_training_mode(working.name, f"its {found} is in training mode")


def in_training_mode(name: str, sign: str) -> ModelError:
    """The error for a model that was exported in training mode; `sign` says how that was found."""
    return ModelError(
        f"{name} was exported in training mode or trains in any mode ({sign}), so its outputs "
        "depend on chance or on the other images of a batch. Call model.eval(), let "
        "functional.dropout and similar functions follow self.training, and export it again."
    )


def measures_batch(name: str) -> ModelError:
    """The error for a model with a batch norm that has no statistics from training."""
    return ModelError(
        f"{name} has a batch norm without mean and variance from training "
        "(track_running_stats=False), so an image's logits depend on the other images of its "
        "batch. Train it with running statistics, or with GroupNorm."
    )


def _training_node(graph: onnx.GraphProto, known: dict[str, onnx.TensorProto]) -> str | None:
    known = known | {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Dropout" and _is_active_dropout(node, known):
            return str(node.op_type)
        if node.op_type == "BatchNormalization" and _measures(node):
            return str(node.op_type)
        for inner in bodies(node):
            if found := _training_node(inner, known):
                return found
    return None


def _is_active_dropout(node: onnx.NodeProto, known: dict[str, onnx.TensorProto]) -> bool:
    if len(node.input) < 3 or not node.input[2]:
        return False
    trains, ratio = array(known, node.input[2]), array(known, node.input[1])
    # If the mode is an input or is computed, it may be on.
    return (trains is None or bool(trains.any())) and (ratio is None or bool(ratio.any()))


def _measures(node: onnx.NodeProto) -> bool:
    # Before opset 14, a batch norm in training mode has more than one output.
    return bool(attribute(node, "training_mode", 0)) or sum(bool(name) for name in node.output) > 1
