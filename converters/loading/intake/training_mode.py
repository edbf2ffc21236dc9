"""Refuse what was exported while it trained: dropout that drops, batch norms that measure."""

from __future__ import annotations

import onnx

from converters.loading.intake.subject.subject import Subject
from converters.onnx_graph.lookup import array, attribute, constants
from converters.onnx_graph.nested import bodies
from edge.errors import ModelError


def refuse_training_mode(subject: Subject) -> None:
    """Each node computes what it does in use.

    Raises:
        ModelError: one trains.
    """
    found = _training_node(subject.model.graph, constants(subject.model))
    if found is not None:
        raise in_training_mode(subject.name, f"its {found} trains")


def in_training_mode(name: str, sign: str) -> ModelError:
    """The refusal of a model that was exported while it trained; `sign` shows it."""
    return ModelError(
        f"{name} was exported in training mode or trains in any mode ({sign}), so "
        "that its answers depend on chance or on the other images of a batch. Call model.eval(), "
        "let functional.dropout and its like follow self.training, and export it again."
    )


def measures_batch(name: str) -> ModelError:
    """The refusal of a model whose batch norm has no statistics of the training."""
    return ModelError(
        f"{name} holds a batch norm without mean and variance of its training "
        "(track_running_stats=False), so that an image's answer depends on the others of its "
        "batch. Train it with running statistics, or with GroupNorm."
    )


def _training_node(graph: onnx.GraphProto, known: dict[str, onnx.TensorProto]) -> str | None:
    known = known | {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Dropout" and _drops(node, known):
            return str(node.op_type)
        if node.op_type == "BatchNormalization" and _measures(node):
            return str(node.op_type)
        for inner in bodies(node):
            if found := _training_node(inner, known):
                return found
    return None


def _drops(node: onnx.NodeProto, known: dict[str, onnx.TensorProto]) -> bool:
    if len(node.input) < 3 or not node.input[2]:
        return False
    trains, ratio = array(known, node.input[2]), array(known, node.input[1])
    # Where the mode is an input of the graph, or computed, nobody says that it is off.
    return (trains is None or bool(trains.any())) and (ratio is None or bool(ratio.any()))


def _measures(node: onnx.NodeProto) -> bool:
    # Before opset 14 a batch norm that trains is known by its further outputs.
    return bool(attribute(node, "training_mode", 0)) or sum(bool(name) for name in node.output) > 1
