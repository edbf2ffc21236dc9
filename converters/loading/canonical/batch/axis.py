"""Finds the batch axis of each tensor in a graph that was exported for a fixed batch.

The axis is followed from the input through the graph. A Reshape may merge the batch with other axes
or split it off again. In row-major order the number of elements before the batch stays the same,
so that number identifies the axis after a Reshape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import onnx

from converters.onnx_graph.lookup import Constants, array, attribute

Shape = tuple[int, ...]
RESHAPING: Final = ("Reshape", "Flatten")
_REDUCING: Final = ("ArgMax", "ArgMin")


@dataclass(frozen=True, slots=True)
class BatchAxis:
    """The axis with the batch. If it is merged with others, `outer` is the factor before it."""

    axis: int
    outer: int = 1


def follow_batch(
    model: onnx.ModelProto, known: Constants, shapes: Mapping[str, Shape], batch: int
) -> dict[str, BatchAxis]:
    """The batch axis of each tensor that depends on the image, by tensor.

    Args:
        known: the graph's constants.
        shapes: shapes of all tensors at the fixed batch.
    """
    places = {model.graph.input[0].name: BatchAxis(0)}
    for node in model.graph.node:
        held = [(name, places[name]) for name in node.input if name in places]
        if not held or node.op_type in ("Shape", "Size"):
            continue
        name, place = max(held, key=lambda pair: len(shapes.get(pair[0], ())))
        for output in node.output:
            if output not in shapes or name not in shapes:
                continue
            found = _after(node, known, shapes[name], shapes[output], place, batch)
            if found is not None and found.axis < len(shapes[output]):
                places[output] = found
    return places


def _after(
    node: onnx.NodeProto,
    known: Constants,
    before: Shape,
    after: Shape,
    place: BatchAxis,
    batch: int,
) -> BatchAxis | None:
    if node.op_type in RESHAPING:
        return _in_reshaped(after, math.prod(before[: place.axis]) * place.outer, batch)
    moved = _MOVES.get(node.op_type)
    if moved is None and (node.op_type.startswith("Reduce") or node.op_type in _REDUCING):
        moved = _reduced
    if moved is not None:
        axis = moved(node, known, before, place.axis)
        return None if axis is None else BatchAxis(axis, place.outer)
    # All other operators work element-wise, or on features after the batch. Shapes of different
    # length are aligned at their ends, as in broadcasting.
    axis = place.axis + (len(after) - len(before))
    return BatchAxis(axis, place.outer) if axis >= 0 else None


def _in_reshaped(after: Shape, outer: int, batch: int) -> BatchAxis | None:
    """The axis in a new shape that has `outer` elements before the batch.

    With a batch of one, several axes may fit. Preferred is an axis with only the batch, then one
    that begins with it. The last axis, which has the features, is taken only if no other fits.
    """
    found = []
    for axis, size in enumerate(after):
        outside = math.prod(after[:axis])
        if outside > outer or outer % outside or outside * size < outer * batch:
            continue
        if (size * outside) % (outer * batch) or size % batch:
            continue
        is_last = axis == len(after) - 1 and len(after) > 1
        found.append(
            ((is_last, size != batch or outside != outer, outside != outer, axis), outside)
        )
    if not found:
        return None
    (*_, axis), outside = min(found)
    return BatchAxis(axis, outer // outside)


def _transposed(node: onnx.NodeProto, _: Constants, before: Shape, axis: int) -> int | None:
    order = list(attribute(node, "perm", range(len(before))[::-1]))
    return order.index(axis)


def _squeezed(node: onnx.NodeProto, known: Constants, before: Shape, axis: int) -> int | None:
    gone = axes_of(node, known, len(before))
    if gone is None:
        gone = [i for i, size in enumerate(before) if size == 1 and i != axis]
    return None if axis in gone else axis - sum(i < axis for i in gone)


def _unsqueezed(node: onnx.NodeProto, known: Constants, before: Shape, axis: int) -> int | None:
    raw = array(known, node.input[1])
    if raw is None:
        return None
    rank = len(before) + raw.size
    new = {int(i) % rank for i in raw.reshape(-1)}
    kept = [i for i in range(rank) if i not in new]
    return kept[axis]


def _gathered(node: onnx.NodeProto, known: Constants, before: Shape, axis: int) -> int | None:
    along = attribute(node, "axis", 0) % len(before)
    indices = array(known, node.input[1])
    if along == axis or indices is None:
        return None
    return axis if axis < along else axis + indices.ndim - 1


def _reduced(node: onnx.NodeProto, known: Constants, before: Shape, axis: int) -> int | None:
    if node.op_type in _REDUCING:
        gone: list[int] | None = [attribute(node, "axis", 0) % len(before)]
    else:
        gone = axes_of(node, known, len(before))
    if gone is None or axis in gone:
        return None
    return axis if attribute(node, "keepdims", 1) else axis - sum(i < axis for i in gone)


def _gemm(node: onnx.NodeProto, _: Constants, __: Shape, axis: int) -> int | None:
    return 1 - axis if attribute(node, "transA", 0) else axis


def axes_of(node: onnx.NodeProto, known: Constants, rank: int) -> list[int] | None:
    """The axes that a node names, as non-negative numbers; None if it names none."""
    found = attribute(node, "axes")
    if found is None and len(node.input) > 1:
        found = array(known, node.input[1])
    return None if found is None else [int(axis) % rank for axis in found]


_Move = Callable[[onnx.NodeProto, Constants, Shape, int], int | None]
_MOVES: Final[dict[str, _Move]] = {
    "Transpose": _transposed,
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
    "Gather": _gathered,
    "Gemm": _gemm,
}
