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

from converters.loading.intake.batch.axis import RESHAPING, BatchAxis, Shape, axes_of
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
class Kept:
    """A graph for one image in which the batch axis is being restored.

    Attributes:
        shapes: shapes of all tensors before the changes.
        places: batch axis of the tensors that still have one.
        given: tensors that have got a batch axis in front.
    """

    model: onnx.ModelProto
    known: Constants
    shapes: Mapping[str, Shape]
    places: Mapping[str, BatchAxis]
    given: set[str] = field(default_factory=set)


def keep_batch(kept: Kept) -> bool:
    """Restore the axis wherever it is dropped; False if that is impossible at some node."""
    for node in list(kept.model.graph.node):
        if node.op_type in _OF_SHAPE or any(name not in kept.shapes for name in node.output):
            continue
        if kept.given.isdisjoint(node.input):
            _drop_no_more(kept, node)
        elif not _CARRIED.get(node.op_type, _elementwise)(kept, node):
            return False
    return True


def _drop_no_more(kept: Kept, node: onnx.NodeProto) -> None:
    """If a node drops a batch axis in front, change it so that it keeps the axis."""
    source, place = node.input[0] if node.input else "", kept.places.get(node.input[0] or "")
    if place != BatchAxis(0) or kept.shapes[source][:1] != (1,):
        return
    before, after = kept.shapes[source], kept.shapes[node.output[0]]
    if node.op_type in RESHAPING and after[:1] != (1,):
        _set_reshape(kept, node, [-1, *after])
    elif node.op_type in ("Squeeze", "ReduceMean", "ReduceSum", "ReduceMax") and (
        len(after) < len(before)
    ):
        gone = axes_of(node, kept.known, len(before))
        gone = [i for i, size in enumerate(before) if size == 1] if gone is None else gone
        if 0 not in gone:
            return
        _set_axes(kept, node, [axis for axis in gone if axis != 0])
    elif node.op_type == "Gather" and attribute(node, "axis", 0) == 0 and len(after) < len(before):
        _set_identity(node)
    else:
        if _is_whole(kept, node):
            _set_identity(node)
        return
    kept.given.add(node.output[0])


def _is_whole(kept: Kept, node: onnx.NodeProto) -> bool:
    """Whether a Split, Concat or Slice along the batch axis leaves a batch of one unchanged."""
    if node.op_type in ("Split", "Concat"):
        ends = node.output if node.op_type == "Split" else node.input
        return attribute(node, "axis", 0) == 0 and len(ends) == 1
    axes = array(kept.known, node.input[3]) if len(node.input) > 3 else None
    return node.op_type == "Slice" and axes is not None and axes.tolist() == [0]


def _elementwise(kept: Kept, node: onnx.NodeProto) -> bool:
    """Whether all inputs have the new axis, or are broadcast along it."""
    ranks = {len(kept.shapes[name]) for name in node.input if name in kept.given}
    others = [name for name in node.input if name and name not in kept.given]
    after = kept.shapes[node.output[0]]
    kept.given.add(node.output[0])
    if node.op_type in _BROADCASTING:
        is_aligned = all(
            name in kept.known and len(kept.shapes[name]) <= min(ranks) for name in others
        )
        return ranks == {len(after)} and is_aligned
    return kept.shapes[node.input[0]] == after and all(name in kept.known for name in others)


def _product(kept: Kept, node: onnx.NodeProto) -> bool:
    left, right = node.input
    kept.given.add(node.output[0])
    if right in kept.known:
        return len(kept.shapes[right]) == 2
    is_both = {left, right} <= kept.given
    return is_both and len(kept.shapes[left]) == len(kept.shapes[right]) > 1


def _along(kept: Kept, node: onnx.NodeProto) -> bool:
    axis = attribute(node, "axis", _ALONG_AN_AXIS[node.op_type])
    if node.op_type == "Concat" and not kept.given.issuperset(node.input):
        return False
    if node.op_type != "Concat" and node.input[0] not in kept.given:
        return False
    _set_attribute(node, "axis", axis + (axis >= 0))
    kept.given.update(node.output)
    return True


def _over_axes(kept: Kept, node: onnx.NodeProto) -> bool:
    before = kept.shapes[node.input[0]]
    gone = axes_of(node, kept.known, len(before))
    if gone is None:
        gone = [i for i, size in enumerate(before) if size == 1 or node.op_type != "Squeeze"]
    _set_axes(kept, node, [axis + 1 for axis in gone])
    kept.given.add(node.output[0])
    return True


def _transposed(kept: Kept, node: onnx.NodeProto) -> bool:
    rank = len(kept.shapes[node.input[0]])
    order = attribute(node, "perm", range(rank)[::-1])
    _set_attribute(node, "perm", [0, *(axis + 1 for axis in order)])
    kept.given.add(node.output[0])
    return True


def _unsqueezed(kept: Kept, node: onnx.NodeProto) -> bool:
    new = axes_of(node, kept.known, len(kept.shapes[node.output[0]]))
    if new is None:
        return False
    if 0 in new:
        # The node adds the batch axis itself.
        _set_axes(kept, node, [axis for axis in new if axis != 0])
    else:
        _set_axes(kept, node, [axis + 1 for axis in new])
        kept.given.add(node.output[0])
    return True


def _reshaped(kept: Kept, node: onnx.NodeProto) -> bool:
    after = kept.shapes[node.output[0]]
    is_back = after[:1] == (1,)
    _set_reshape(kept, node, [-1, *after[is_back:]])
    if not is_back:
        kept.given.add(node.output[0])
    return node.input[0] in kept.given


_Carry = Callable[[Kept, onnx.NodeProto], bool]
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


def _set_reshape(kept: Kept, node: onnx.NodeProto, shape: list[int]) -> None:
    held = int_list(kept.model, "kept_shape", shape)
    ends = [node.input[0], held], list(node.output)
    node.CopyFrom(helper.make_node("Reshape", *ends, name=node.name))


def _set_axes(kept: Kept, node: onnx.NodeProto, axes: list[int]) -> None:
    """Set the axes of a node that drops, adds or reduces axes; Identity if there are none."""
    if not axes:
        _set_identity(node)
    elif attribute(node, "axes") is not None or node.op_type in ("ReduceMean", "ReduceMax"):
        # In opset 17 these have axes as an attribute.
        _set_attribute(node, "axes", axes)
    else:
        del node.input[1:]
        node.input.append(int_list(kept.model, "kept_axes", axes))


def _set_attribute(node: onnx.NodeProto, name: str, value: int | list[int]) -> None:
    others = [held for held in node.attribute if held.name != name]
    del node.attribute[:]
    node.attribute.extend([*others, helper.make_attribute(name, value)])
