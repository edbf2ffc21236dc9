"""Converts a graph with an older opset to `OPSET`, and checks that its outputs stay the same."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from converters.loading.canonical.working_model.graph_session import is_near
from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.loading.graph_file.graph import OPSET
from converters.onnx_graph.lookup import graph_inputs, opset_of
from converters.onnx_graph.nested import all_nodes
from converters.onnx_graph.sessions import open_session, session_options
from edge.backends.onnx import RUNTIME_ERRORS
from edge.errors import ModelError

_TOLERANCE: Final = 1e-3
_COLOURS: Final = 3
_CHANNELS: Final = (1, _COLOURS, 4)
# The behaviour of Resize up to opset 10.
_OLD_RESIZING: Final = 10
_FROM_CORNER: Final = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}

Feed = dict[str, NDArray[Any]]


def convert_older_opset(working: WorkingModel) -> None:
    """Convert an older graph to `OPSET`.

    Raises:
        ModelError: an operator cannot be converted, or computes something else afterwards.
    """
    opset = opset_of(working.model)
    if opset >= OPSET:
        return
    advice = f"Export it again with opset {OPSET} or newer."
    try:
        newer = onnx.version_converter.convert_version(working.model, OPSET)
    except RuntimeError as error:
        raise ModelError(
            f"{working.name} has opset {opset} and cannot be brought to {OPSET}. {advice}"
        ) from error
    if opset <= _OLD_RESIZING:
        _resize_from_corner(newer)
    if not _computes_the_same(working, newer):
        raise ModelError(
            f"{working.name} has opset {opset}, and gives other outputs once brought to {OPSET}. "
            f"{advice}"
        )
    working.model = newer


def _resize_from_corner(model: onnx.ModelProto) -> None:
    """Set the old behaviour of Resize; ONNX's converter leaves the newer default."""
    for node in all_nodes(model.graph.node):
        if node.op_type == "Resize":
            named = {held.name for held in node.attribute}
            missing = {key: value for key, value in _FROM_CORNER.items() if key not in named}
            node.attribute.extend(helper.make_attribute(*item) for item in missing.items())


def _computes_the_same(working: WorkingModel, newer: onnx.ModelProto) -> bool:
    """Whether both give the same outputs for one input; True if the older one does not run here."""
    feed = _feed(working)
    try:
        expected = _outputs(working.model, feed)
    except RUNTIME_ERRORS:
        return True
    try:
        found = _outputs(newer, feed)
    except RUNTIME_ERRORS:
        return False
    pairs = zip(found, expected, strict=True)
    return all(is_near(f, e, _TOLERANCE) for f, e in pairs if isinstance(e, np.ndarray))


def _outputs(model: onnx.ModelProto, feed: Feed) -> list[Any]:
    return list(open_session(model, session_options(is_silent=True)).run(None, feed))


def _feed(working: WorkingModel) -> Feed:
    """Noise for each input, in the graph's declared size or else the card's."""
    noise = np.random.default_rng(0)
    feed = {}
    for value in graph_inputs(working.model):
        kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        drawn = noise.standard_normal(_shape(value, working.size))
        feed[value.name] = (drawn if kind.kind == "f" else np.abs(drawn) * 64).astype(kind)
    return feed


def _shape(value: onnx.ValueInfoProto, size: tuple[int, int]) -> list[int]:
    declared = [d.dim_value for d in value.type.tensor_type.shape.dim]
    likely = [1] * len(declared)
    if len(declared) == 4:
        is_last = declared[3] in _CHANNELS and declared[1] not in _CHANNELS
        likely = [1, *size, _COLOURS] if is_last else [1, _COLOURS, *size]
    return [known or guess for known, guess in zip(declared, likely, strict=True)]
