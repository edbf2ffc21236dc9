"""Brings the image input to float (batch, 3, height, width)."""

from __future__ import annotations

from typing import Final

import onnx
from onnx import TensorProto, helper

from converters.loading.canonical.working_model.refusals import has_other_channels, has_other_inputs
from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.onnx_graph.editing import bypass, fresh_name, prune
from converters.onnx_graph.lookup import attribute, constants, readers
from converters.onnx_graph.nested import names_read
from edge.errors import ModelError

_FLOATS: Final = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.BFLOAT16,
    TensorProto.DOUBLE,
)
_TO_CHANNELS_LAST: Final = [0, 2, 3, 1]
_TO_CHANNELS_FIRST: Final = [0, 3, 1, 2]
_COLOURS: Final = 3
# These only move values.
_MOVING: Final = frozenset(
    {"Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
)
# Operators of a normalisation.
_BY_PIXEL: Final = frozenset({"Add", "Cast", "Div", "Identity", "Mul", "Sub"})

# Texts about changes, also used for torch files.
BYTES_TAKEN: Final = "its input of bytes was changed to floats from 0 to 255"
CHANNELS_LAST: Final = "a transposition was added for its channels-last input"

Dimensions = list[int | str]


def canonical_input(working: WorkingModel) -> None:
    """Bring the graph to one float input (batch, 3, height, width) of the card's size.

    Raises:
        ModelError: there are several inputs, or it is not a colour image of that size.
    """
    model = working.model
    image = _only_input(working)
    dimensions = _dimensions(image)
    _take_bytes(working, image)
    if image.type.tensor_type.elem_type not in _FLOATS:
        raise _other(working, image, "Export it with a float input.")
    if len(dimensions) == 3:
        raise _other(working, image, "Export it for a batch of images: torch.zeros(1, 3, h, w).")
    if len(dimensions) != 4:
        raise _other(working, image, "Give a network for images.")
    if _is_channels_last(dimensions, working.size):
        _transpose(model, image)
        working.changes.append(CHANNELS_LAST)
        dimensions = [dimensions[i] for i in _TO_CHANNELS_FIRST]
    _check(working, image, dimensions)
    batch = dimensions[0]
    if isinstance(batch, int):
        working.batch = batch
    shape = [batch if batch != "?" else "batch", _COLOURS, *working.size]
    kind = image.type.tensor_type.elem_type
    described = helper.make_tensor_value_info(image.name, kind, shape)
    image.CopyFrom(described)
    # Remove shapes that were inferred for another size or layout.
    del model.graph.value_info[:]


def _only_input(working: WorkingModel) -> onnx.ValueInfoProto:
    graph = working.model.graph
    used = names_read(graph)
    unused = [value for value in graph.input if value.name not in used]
    inputs = [value for value in graph.input if value.name in used]
    if len(inputs) != 1:
        found = [f"{value.name} {_dimensions(value)}" for value in inputs]
        raise has_other_inputs(working.name, found)
    for value in unused:
        working.changes.append(f"its unused input {value.name[:40]} was removed")
        graph.input.remove(value)
    image: onnx.ValueInfoProto = graph.input[0]
    return image


def _dimensions(value: onnx.ValueInfoProto) -> Dimensions:
    return [d.dim_value or d.dim_param or "?" for d in value.type.tensor_type.shape.dim]


def _take_bytes(working: WorkingModel, image: onnx.ValueInfoProto) -> None:
    """If the network first casts bytes to floats, give it a float input instead."""
    model = working.model
    if image.type.tensor_type.elem_type != TensorProto.UINT8:
        return
    casts = _casts_after(model, image.name)
    types = {attribute(cast, "to") for cast in casts or ()}
    if casts is None or len(types) != 1:
        return
    for cast in casts:
        bypass(model, cast.output[0], cast.input[0])
    (image.type.tensor_type.elem_type,) = types
    prune(model)
    working.changes.append(BYTES_TAKEN)


def _casts_after(model: onnx.ModelProto, name: str) -> list[onnx.NodeProto] | None:
    """The casts to float that read a tensor, also after moves; None if other nodes read it."""
    found: list[onnx.NodeProto] = []
    for node in readers(model, name):
        if _is_cast_to_float(node):
            found.append(node)
            continue
        is_moved = node.op_type in _MOVING and node.input[0] == name
        behind = _casts_after(model, node.output[0]) if is_moved else None
        if behind is None:
            return None
        found += behind
    return found


def _is_cast_to_float(node: onnx.NodeProto) -> bool:
    return node.op_type == "Cast" and attribute(node, "to") in _FLOATS


def _is_channels_last(dimensions: Dimensions, size: tuple[int, int]) -> bool:
    if dimensions[1] == _COLOURS:
        # Channels are first; an image of three rows is unlikely.
        return False
    known_last = isinstance(dimensions[3], int) and dimensions[3] in (1, _COLOURS, 4)
    return known_last and dimensions[3] != size[1]


def _transpose(model: onnx.ModelProto, image: onnx.ValueInfoProto) -> None:
    """Add a Transpose after the input; if the graph begins with its inverse, remove both."""
    original = list(model.graph.node)
    last = fresh_name(model, f"{image.name}_channels_last")
    for node in original:
        for position, name in enumerate(node.input):
            if name == image.name:
                node.input[position] = last
    for node in readers(model, last):
        if node.op_type == "Transpose" and attribute(node, "perm") == _TO_CHANNELS_FIRST:
            bypass(model, node.output[0], image.name)
    transpose = helper.make_node("Transpose", [image.name], [last], perm=_TO_CHANNELS_LAST)
    model.graph.node.insert(0, transpose)
    prune(model)


def _check(working: WorkingModel, image: onnx.ValueInfoProto, dimensions: Dimensions) -> None:
    channels, *size = dimensions[1:]
    if not isinstance(channels, int):
        channels = _channels_read(working.model, image.name) or channels
    if isinstance(channels, int) and channels != _COLOURS:
        where = f" (input {image.name[:40]} {_dimensions(image)})"
        raise has_other_channels(working.name, channels, where)
    pairs = zip(size, working.size, strict=True)
    if any(isinstance(found, int) and found != needed for found, needed in pairs):
        raise _other(
            working, image, "Correct input.height and input.width in the card, or export it again."
        )


def _channels_read(model: onnx.ModelProto, name: str) -> int | None:
    """The input channels of the first convolution; None if other layers come before it."""
    weights = constants(model)
    for node in readers(model, name):
        if node.op_type == "Conv" and node.input[1] in weights:
            return int(weights[node.input[1]].dims[1]) * int(attribute(node, "group", 1))
        if node.op_type in _BY_PIXEL:
            return _channels_read(model, node.output[0])
    return None


def _other(working: WorkingModel, image: onnx.ValueInfoProto, advice: str) -> ModelError:
    kind = TensorProto.DataType.Name(image.type.tensor_type.elem_type).lower()
    height, width = working.size
    return ModelError(
        f"{working.name} takes {kind} {_dimensions(image)}, the card says float "
        f"[batch, 3, {height}, {width}]. {advice}"
    )
