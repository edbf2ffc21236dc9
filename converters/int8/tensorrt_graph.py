"""Rewrites a graph so that TensorRT's parser can read it."""

from __future__ import annotations

from typing import Final

import onnx

from converters.export.normalisation import INPUT_NAME
from converters.fp16.conversion import to_fp16
from converters.fp16.range_check import NONE_OUT_OF_RANGE, OutOfRange
from converters.onnx_graph.editing import copy_of

_CAST_IMAGES: Final = "images_as_float"


def for_tensorrt(
    model: onnx.ModelProto, *, half_floats: bool, out_of_range: OutOfRange = NONE_OUT_OF_RANGE
) -> onnx.ModelProto:
    """A copy that TensorRT can parse; with `half_floats`, its floats are FP16.

    Args:
        out_of_range: values that FP16 cannot hold.
    """
    converted = copy_of(model)
    cast_before_moving(converted)
    _keep_standard_operators(converted)
    return to_fp16(converted, out_of_range) if half_floats else converted


def cast_before_moving(model: onnx.ModelProto) -> None:
    """Cast the image bytes to floats before they are transposed or reshaped, in place.

    TensorRT allows uint8 only as the network's input, and only Cast can read it. ONNX Runtime
    transposes bytes faster than floats, so its graphs keep the other order.
    """
    movers = []
    name = INPUT_NAME
    while (node := _reader(model, name)).op_type != "Cast":
        movers.append(node)
        name = node.output[0]
    if not movers:
        return
    final = node.output[0]
    node.input[0], node.output[0] = INPUT_NAME, _CAST_IMAGES
    movers[0].input[0], movers[-1].output[0] = _CAST_IMAGES, final
    reordered = [copy_of(original) for original in (node, *movers)]
    for original in (node, *movers):
        model.graph.node.remove(original)
    for position, copy in enumerate(reordered):
        model.graph.node.insert(position, copy)
    # The stored types of these tensors are those of bytes; infer them again.
    del model.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(model)
    model.graph.value_info.extend(inferred.graph.value_info)


def _reader(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    readers: list[onnx.NodeProto] = [node for node in model.graph.node if name in node.input]
    return readers[0]


def _keep_standard_operators(model: onnx.ModelProto) -> None:
    """Remove the imports of operator sets that the graph does not use, such as ONNX Runtime's."""
    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
