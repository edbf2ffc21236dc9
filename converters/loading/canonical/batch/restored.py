"""Restores the batch axis in a graph for one image that drops it, as `squeeze()` and `x[0]` do.

All tensors after the node that drops it get a batch axis in front, up to a node that adds one
itself. The graph's outputs for one image do not change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import onnx
from onnx import helper

from converters.loading.canonical.batch.axis import RESHAPING, BatchAxis, Shape, axes_of
from converters.onnx_graph.editing import int_list
from converters.onnx_graph.lookup import Constants, array, attribute

_OF_SHAPE: Final = ("Shape", "Size")
_BROADCASTING: Final = ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Where", "PRelu")
# Operators with an axis attribute, and its default.
_ALONG_AN_AXIS: Final = {
    **dict.fromkeys(("Softmax", "LogSoftmax", "LayerNormalization"), -1),
    **dict.fromkeys(("Concat", "Gather", "Split", "ArgMax"), 0),
}


@dataclass(slots=True)
class RestoredBatch:
    """A graph for one image in which the batch axis is being restored.

    Attributes:
        shapes: shapes of all tensors before the changes.
        places: batch axis of the tensors that still have one.
        with_batch: tensors that have got a batch axis in front.
    """

    model: onnx.ModelProto
    known: Constants
    shapes: Mapping[str, Shape]
    places: Mapping[str, BatchAxis]
    with_batch: set[str] = field(default_factory=set)


def restore_batch(restored: RestoredBatch) -> bool:
    """Restore the axis wherever it is dropped; False if that is impossible at some node."""
    for node in list(restored.model.graph.node):
        if node.op_type in _OF_SHAPE or any(name not in restored.shapes for name in node.output):
            continue
        if restored.with_batch.isdisjoint(node.input):
            _keep_first_axis(restored, node)
        elif not _CARRIED.get(node.op_type, _elementwise)(restored, node):
            return False
    return True


def _keep_first_axis(restored: RestoredBatch, node: onnx.NodeProto) -> None:
    """If a node drops a batch axis in front, change it so that it keeps the axis."""
    source, place = node.input[0] if node.input else "", restored.places.get(node.input[0] or "")
    if place != BatchAxis(0) or restored.shapes[source][:1] != (1,):
        return
    before, after = restored.shapes[source], restored.shapes[node.output[0]]
    if node.op_type in RESHAPING and after[:1] != (1,):
        _set_reshape(restored, node, [-1, *after])
    elif node.op_type in ("Squeeze", "ReduceMean", "ReduceSum", "ReduceMax") and (
        len(after) < len(before)
    ):
        gone = axes_of(node, restored.known, len(before))
        gone = [i for i, size in enumerate(before) if size == 1] if gone is None else gone
        if 0 not in gone:
            return
        _set_axes(restored, node, [axis for axis in gone if axis != 0])
    elif node.op_type == "Gather" and attribute(node, "axis", 0) == 0 and len(after) < len(before):
        _set_identity(node)
    else:
        if _is_whole(restored, node):
            _set_identity(node)
        return
    restored.with_batch.add(node.output[0])


def _is_whole(restored: RestoredBatch, node: onnx.NodeProto) -> bool:
    """Whether a Split, Concat or Slice along the batch axis leaves a batch of one unchanged."""
    if node.op_type in ("Split", "Concat"):
        ends = node.output if node.op_type == "Split" else node.input
        return attribute(node, "axis", 0) == 0 and len(ends) == 1
    axes = array(restored.known, node.input[3]) if len(node.input) > 3 else None
    return node.op_type == "Slice" and axes is not None and axes.tolist() == [0]


def _elementwise(restored: RestoredBatch, node: onnx.NodeProto) -> bool:
    """Whether all inputs have the new axis, or are broadcast along it."""
    ranks = {len(restored.shapes[name]) for name in node.input if name in restored.with_batch}
    others = [name for name in node.input if name and name not in restored.with_batch]
    after = restored.shapes[node.output[0]]
    restored.with_batch.add(node.output[0])
    if node.op_type in _BROADCASTING:
        is_aligned = all(
            name in restored.known and len(restored.shapes[name]) <= min(ranks) for name in others
        )
        return ranks == {len(after)} and is_aligned
    return restored.shapes[node.input[0]] == after and all(
        name in restored.known for name in others
    )


def _product(restored: RestoredBatch, node: onnx.NodeProto) -> bool:
    left, right = node.input
    restored.with_batch.add(node.output[0])
    if right in restored.known:
        return len(restored.shapes[right]) == 2
    is_both = {left, right} <= restored.with_batch
    return is_both and len(restored.shapes[left]) == len(restored.shapes[right]) > 1


def _along(restored: RestoredBatch, node: onnx.NodeProto) -> bool:
    axis = attribute(node, "axis", _ALONG_AN_AXIS[node.op_type])
    if node.op_type == "Concat" and not restored.with_batch.issuperset(node.input):
        return False
    if node.op_type != "Concat" and node.input[0] not in restored.with_batch:
        return False
    _set_attribute(node, "axis", axis + (axis >= 0))
    restored.with_batch.update(node.output)
    return True


def _over_axes(restored: RestoredBatch, node: onnx.NodeProto) -> bool:
    before = restored.shapes[node.input[0]]
    gone = axes_of(node, restored.known, len(before))
    if gone is None:
        gone = [i for i, size in enumerate(before) if size == 1 or node.op_type != "Squeeze"]
    _set_axes(restored, node, [axis + 1 for axis in gone])
    restored.with_batch.add(node.output[0])
    return True


def _transposed(restored: RestoredBatch, node: onnx.NodeProto) -> bool:
    rank = len(restored.shapes[node.input[0]])
    order = attribute(node, "perm", range(rank)[::-1])
    _set_attribute(node, "perm", [0, *(axis + 1 for axis in order)])
    restored.with_batch.add(node.output[0])
    return True


def _unsqueezed(restored: RestoredBatch, node: onnx.NodeProto) -> bool:
    new = axes_of(node, restored.known, len(restored.shapes[node.output[0]]))
    if new is None:
        return False
    if 0 in new:
        # The node adds the batch axis itself.
        _set_axes(restored, node, [axis for axis in new if axis != 0])
    else:
        _set_axes(restored, node, [axis + 1 for axis in new])
        restored.with_batch.add(node.output[0])
    return True


def _reshaped(restored: RestoredBatch, node: onnx.NodeProto) -> bool:
    after = restored.shapes[node.output[0]]
    is_back = after[:1] == (1,)
    _set_reshape(restored, node, [-1, *after[is_back:]])
    if not is_back:
        restored.with_batch.add(node.output[0])
    return node.input[0] in restored.with_batch


_Carry = Callable[[RestoredBatch, onnx.NodeProto], bool]
_CARRIED: Final[dict[str, _Carry]] = {
    **dict.fromkeys(_ALONG_AN_AXIS, _along),
    **dict.fromkeys(RESHAPING, _reshaped),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "Squeeze"), _over_axes),
    "MatMul": _product,
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
}


def _set_identity(node: onnx.NodeProto) -> None:
    """Replace a node by an Identity of its first input."""
    node.CopyFrom(helper.make_node("Identity", [node.input[0]], [node.output[0]], name=node.name))


def _set_reshape(restored: RestoredBatch, node: onnx.NodeProto, shape: list[int]) -> None:
    held = int_list(restored.model, "kept_shape", shape)
    ends = [node.input[0], held], list(node.output)
    node.CopyFrom(helper.make_node("Reshape", *ends, name=node.name))


def _set_axes(restored: RestoredBatch, node: onnx.NodeProto, axes: list[int]) -> None:
    """Set the axes of a node that drops, adds or reduces axes; Identity if there are none."""
    if not axes:
        _set_identity(node)
    elif attribute(node, "axes") is not None or node.op_type in ("ReduceMean", "ReduceMax"):
        # In opset 17 these have axes as an attribute.
        _set_attribute(node, "axes", axes)
    else:
        del node.input[1:]
        node.input.append(int_list(restored.model, "kept_axes", axes))


def _set_attribute(node: onnx.NodeProto, name: str, value: int | list[int]) -> None:
    others = [held for held in node.attribute if held.name != name]
    del node.attribute[:]
    node.attribute.extend([*others, helper.make_attribute(name, value)])
