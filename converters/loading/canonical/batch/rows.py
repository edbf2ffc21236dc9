"""Adapts constants with a batch axis, such as class tokens, to a dynamic batch."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import helper

from converters.loading.canonical.batch.axis import BatchAxis, Shape
from converters.onnx_graph.editing import add_constant, fresh_name, insert_before, int_list
from converters.onnx_graph.lookup import Constants, array, attribute


def expand_constants(
    model: onnx.ModelProto,
    node: onnx.NodeProto,
    shapes: Mapping[str, Shape],
    places: Mapping[str, BatchAxis],
) -> None:
    """Repeat a constant row, such as a class token, for each image in a Concat."""
    carrier = next(name for name in node.input if name in places)
    axis = places[carrier].axis
    if attribute(node, "axis", 0) % len(shapes[carrier]) == axis:
        return
    for position, name in enumerate(node.input):
        if name not in places and shapes[name][axis] == 1:
            node.input[position] = _expanded(model, node, name, carrier, (shapes[name], axis))


def _expanded(
    model: onnx.ModelProto,
    reader: onnx.NodeProto,
    name: str,
    carrier: str,
    repeated: tuple[Shape, int],
) -> str:
    """Repeat a tensor along an axis to the size that `carrier` has there; returns its name."""
    shape, axis = repeated
    all_sizes, size, target, result = (
        fresh_name(model, f"{name}_{what}") for what in ("sizes", "size", "target", "repeated")
    )
    index = int_list(model, "axis", [axis])
    ends = [int_list(model, "sizes", part) for part in (shape[:axis], shape[axis + 1 :])]
    parts = [ends[0], size, ends[1]] if axis else [size, ends[1]]
    added = [
        helper.make_node("Shape", [carrier], [all_sizes]),
        helper.make_node("Gather", [all_sizes, index], [size]),
        helper.make_node("Concat", parts, [target], axis=0),
        helper.make_node("Expand", [name, target], [result]),
    ]
    insert_before(model, reader, added)
    return result


def take_one_row(
    model: onnx.ModelProto,
    known: Constants,
    node: onnx.NodeProto,
    shapes: dict[str, Shape],
    axis: int,
) -> None:
    """Keep only one row of constants that have the same row for each image of the batch."""
    after = shapes[node.output[0]]
    for position, name in enumerate(node.input):
        value = array(known, name)
        own_axis = axis - (len(after) - value.ndim) if value is not None else -1
        if value is None or own_axis < 0 or value.shape[own_axis] != after[axis]:
            continue
        row = value.take([0], axis=own_axis)
        if (row == value).all():
            node.input[position] = kept = add_constant(model, f"{name}_row", row)
            shapes[kept] = row.shape
