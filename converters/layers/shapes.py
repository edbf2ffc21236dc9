"""Finds the shapes of tensors by running a graph on one image.

Shape inference cannot find a dimension that is computed, such as batch times windows in a Swin
transformer.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from converters.onnx_graph.editing import copy_of
from converters.onnx_graph.sessions import open_session, session_options

Shape = tuple[int, ...]

# Their outputs are sequences or optional values, which have no shape.
_MAKERS_OF_NO_TENSOR: Final = frozenset(
    {
        *("SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceMap"),
        *("SplitToSequence", "Optional"),
    }
)


def shapes_of_one_image(model: onnx.ModelProto, names: Collection[str]) -> dict[str, Shape]:
    """Shapes of the named tensors and constants for a batch of one image, by name."""
    known = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    made = {
        name
        for node in model.graph.node
        if node.op_type not in _MAKERS_OF_NO_TENSOR
        for name in node.output
    }
    wanted = sorted(made.intersection(names))
    watched = copy_of(model)
    del watched.graph.output[:]
    for position, name in enumerate(wanted):
        shape = f"shape {position} of one image"
        watched.graph.node.append(helper.make_node("Shape", [name], [shape], shape))
        value = helper.make_tensor_value_info(shape, TensorProto.INT64, None)
        watched.graph.output.append(value)
    (image,) = model.graph.input
    size = [max(d.dim_value, 1) for d in image.type.tensor_type.shape.dim]
    found = run_as_written(watched, {image.name: np.zeros(size, np.uint8)}) if wanted else []
    known |= {name: tuple(map(int, shape)) for name, shape in zip(wanted, found, strict=True)}
    return {name: known[name] for name in names if name in known}


def run_as_written(model: onnx.ModelProto, inputs: dict[str, NDArray[np.uint8]]) -> list[Any]:
    """A graph's outputs, computed node by node, without optimisations, on one thread."""
    session = open_session(model, session_options(threads=1, is_optimised=False))
    return list(session.run(None, inputs))
