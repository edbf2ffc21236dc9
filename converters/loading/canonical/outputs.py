"""Chooses the output with the logits: one value per class for each image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from converters.loading.canonical.heads import HEADS
from converters.loading.canonical.working_model.graph_session import Arrays, is_near
from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.onnx_graph.editing import copy_of, fresh_name, int_list, prune
from converters.onnx_graph.lookup import constants, producers
from edge.errors import ModelError

# Operators that compute a decision (the best class or its score) from the scores of all classes.
_DECISIONS: Final = ("ArgMax", "TopK", "ReduceMax", "Greater", "GreaterOrEqual")
_HEAD_TOLERANCE: Final = 1e-3
# numpy's kinds of types that labels can have, but scores cannot.
_LABELS: Final = "iub"


def drop_maps(model: onnx.ModelProto) -> None:
    """Replace outputs that are lists of dictionaries, as scikit-learn's, by their scores."""
    computed = producers(model)
    for value in model.graph.output:
        node = computed.get(value.name)
        if node is not None and node.op_type == "ZipMap":
            info = helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, [None, None])
            value.CopyFrom(info)
    prune(model)


def name_outputs(model: onnx.ModelProto) -> None:
    """Add missing types and shapes of outputs, which ONNX requires."""
    if all(value.type.tensor_type.HasField("shape") for value in model.graph.output):
        return
    inferred = onnx.shape_inference.infer_shapes(model)
    for value, found in zip(model.graph.output, inferred.graph.output, strict=True):
        if not value.type.tensor_type.HasField("shape"):
            value.CopyFrom(found)


def drop_constants(working: WorkingModel) -> None:
    """Remove outputs that do not depend on the image, unless all outputs are such."""
    graph = working.model.graph
    known = set(constants(working.model))
    for node in graph.node:
        if known.issuperset(filter(None, node.input)):
            known.update(node.output)
    kept = [copy_of(value) for value in graph.output if value.name not in known]
    left_out = [value.name for value in graph.output if value.name in known]
    if kept and left_out:
        working.changes.append(
            f"outputs that no image changes were left out: {', '.join(left_out)[:200]}"
        )
        del graph.output[:]
        graph.output.extend(kept)
        prune(working.model)


def choose(outputs: Arrays, model_name: str, class_count: int) -> str:
    """The name of the output with the logits.

    If one output is the softmax or sigmoid of another, the other one is chosen.

    Args:
        outputs: by name, (n, ...) for n images.

    Raises:
        ModelError: none has one value per class, or several different ones have.
    """
    fitting = scores_in(outputs, class_count)
    distinct: dict[str, NDArray[Any]] = {}
    for name, output in fitting.items():
        if not any(is_near(output, other, 1e-6) for other in distinct.values()):
            distinct[name] = output
    logits = [n for n, found in distinct.items() if not _is_of_another(found, distinct)]
    if len(logits) == 1:
        return logits[0]
    described = [f"{_named(name)} of shape {_shape(values)}" for name, values in outputs.items()]
    found = ", ".join(described) or "no tensor"
    if not logits and may_be_decision(outputs, class_count):
        raise ModelError(
            f"{model_name} gives its decision alone ({found[:300]} for n images), but the scores "
            f"of all {class_count} classes are needed. Export it without its last argmax, max, "
            "topk, sort or threshold, so that it gives its logits."
        )
    if not logits:
        raise ModelError(
            f"{model_name} gives {found[:300]} for n images; the card's "
            f"{class_count} classes need (n, {class_count}). Correct the card's classes, or export "
            "the whole classifier."
        )
    raise ModelError(
        f"{model_name} gives {len(logits)} outputs of {class_count} classes "
        f"({', '.join(logits)[:300]}), but one is needed. Export only that of the classifier."
    )


def may_be_decision(outputs: Arrays, class_count: int) -> bool:
    """Whether the outputs may be only the best classes and their scores.

    Then they are labels, or at most as many numbers as there are classes.
    """
    if not outputs or scores_in(outputs, class_count):
        return False
    return any(output.dtype.kind in _LABELS for output in outputs.values()) or all(
        flat(output).shape[1] <= class_count for output in outputs.values()
    )


def scores_in(outputs: Arrays, class_count: int) -> dict[str, NDArray[Any]]:
    """The outputs with a score for each class (n, classes), in the order of the classes."""
    ranks = [flat(v) for v in outputs.values() if v.dtype.kind in "iu" and v.ndim > 1]
    is_ranked = any(
        rank.shape[1] == class_count and (np.sort(rank) == np.arange(class_count)).all()
        for rank in ranks
    )
    found = {n: flat(v) for n, v in outputs.items() if is_scores(v, class_count)}
    # Scores that a TopK over all classes has sorted cannot be assigned to classes.
    return {
        n: v for n, v in found.items() if not (is_ranked and _is_sorted(v)) and not _is_one_hot(v)
    }


def _is_one_hot(scores: NDArray[Any]) -> bool:
    return bool(np.isin(scores, (0, 1)).all() and (scores.sum(axis=1) == 1).all())


def _is_sorted(scores: NDArray[Any]) -> bool:
    steps = np.diff(scores, axis=1)
    return bool((steps <= 0).all() or (steps >= 0).all())


def is_scores(output: NDArray[Any], class_count: int) -> bool:
    """Whether an output (n, ...) has one float per class for each image."""
    is_float = output.dtype.kind == "f"
    return is_float and [size for size in output.shape[1:] if size != 1] == [class_count]


def flat(output: NDArray[Any]) -> NDArray[Any]:
    """An output, reshaped to (n, values per image)."""
    return output.reshape(len(output), -1)


def one_output(working: WorkingModel, outputs: Arrays) -> NDArray[np.float32]:
    """Make the logits the graph's only output, (batch, classes); returns their values.

    Args:
        outputs: all outputs of the graph for the samples, by name.

    Raises:
        ModelError: as `choose`.
    """
    chosen = choose(outputs, working.name, working.class_count)
    model = working.model
    if len(model.graph.output) > 1:
        others = [value.name for value in model.graph.output if value.name != chosen]
        working.changes.append(
            f"of its outputs {chosen[:40]} was taken; left out: {', '.join(others)[:200]}"
        )
    _flatten(model, chosen, working.class_count)
    prune(model)
    return np.asarray(flat(outputs[chosen]), np.float32)


def expose_scores(model: onnx.ModelProto) -> bool:
    """Replace decisions among the outputs by the scores behind them; False if there are none."""
    computed, found = producers(model), dict[str, None]()
    for value in model.graph.output:
        node = computed.get(value.name)
        while node is not None and node.op_type not in _DECISIONS:
            # A Gather looks up a label in a list; its second input is the best class.
            inputs = node.input[1:] if node.op_type == "Gather" else node.input
            node = computed.get(inputs[0]) if inputs else None
        if node is not None:
            found[node.input[0]] = None
    if found:
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in found)
    return bool(found)


def _flatten(model: onnx.ModelProto, chosen: str, class_count: int) -> None:
    """Make one output (batch, classes): drops axes of length 1, and restores a lost batch axis."""
    result = chosen
    value = next(value for value in model.graph.output if value.name == chosen)
    if len(value.type.tensor_type.shape.dim) != 2:
        result = fresh_name(model, f"{chosen}_of_classes")
        shape = int_list(model, "classes_shape", [-1, class_count])
        model.graph.node.append(helper.make_node("Reshape", [chosen, shape], [result]))
    del model.graph.output[:]
    info = helper.make_tensor_value_info(result, TensorProto.FLOAT, ["batch", class_count])
    model.graph.output.append(info)


def _named(output: str) -> str:
    return f"output {output[:40]}" if output else "an output"


def _shape(output: NDArray[Any]) -> str:
    return f"({', '.join(('n', *map(str, output.shape[1:])))})"


def _is_of_another(found: NDArray[Any], all_found: Mapping[str, NDArray[Any]]) -> bool:
    others = [other for other in all_found.values() if other is not found]
    return any(
        is_near(found, head(other), _HEAD_TOLERANCE) for head in HEADS.values() for other in others
    )
