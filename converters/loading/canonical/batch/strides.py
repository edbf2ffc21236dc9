"""Replaces views that an exporter wrote as a Gather of all elements."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper

from converters.loading.canonical.batch.axis import Shape
from converters.onnx_graph.editing import int_list, replace
from converters.onnx_graph.lookup import Constants, array, attribute, producers


def gathers_to_reshapes(
    model: onnx.ModelProto, known: Constants, shapes: Mapping[str, Shape]
) -> None:
    """Replace a flattening Reshape and a Gather of all elements in order by one Reshape.

    torch's newer exporter writes these for `as_strided`; their indices are for a fixed batch.
    """
    computed = producers(model)
    for node in list(model.graph.node):
        flat = computed.get(node.input[0]) if node.op_type == "Gather" else None
        if flat is None or flat.op_type != "Reshape" or attribute(node, "axis", 0) != 0:
            continue
        places, size = array(known, node.input[1]), shapes[node.input[0]]
        if places is None or size != (places.size,):
            continue
        if np.array_equal(places.reshape(-1), np.arange(places.size)):
            shape = int_list(model, "view_shape", places.shape)
            view = helper.make_node("Reshape", [flat.input[0], shape], [node.output[0]])
            replace(model, node, [view])
