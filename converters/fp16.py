"""The float part of a graph in FP16.

TensorRT 10 and later take the types of the graph as they are: what is neither quantized nor FP16
runs in FP32.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from converters.torch_to_onnx import OUTPUT_NAME

# The first operator set in which QuantizeLinear has FP16 scales, and its ONNX IR version.
QUANTIZED_OPSET: Final = 19
QUANTIZED_IR_VERSION: Final = 9
_FP16_LOGITS: Final = "logits_fp16"


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with all float tensors in FP16, uint8 images in and FP32 logits out.

    The caller has to judge the result: FP16 holds values up to 65,504 with 11 bits.
    """
    converted = onnx.ModelProto()
    converted.CopyFrom(model)
    graph = converted.graph
    for tensor in graph.initializer:
        _convert_tensor(tensor)
    for node in graph.node:
        _convert_attributes(node)
        for position, name in enumerate(node.output):
            if name == OUTPUT_NAME:
                node.output[position] = _FP16_LOGITS
    cast = helper.make_node(
        "Cast", [_FP16_LOGITS], [OUTPUT_NAME], name="logits_cast", to=TensorProto.FLOAT
    )
    graph.node.append(cast)
    del graph.value_info[:]
    if any(node.op_type == "QuantizeLinear" for node in graph.node):
        del converted.opset_import[:]
        converted.opset_import.append(helper.make_opsetid("", QUANTIZED_OPSET))
        converted.ir_version = max(converted.ir_version, QUANTIZED_IR_VERSION)
    onnx.checker.check_model(converted)
    return converted


def _convert_tensor(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        values = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _convert_attributes(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
        if attribute.type == onnx.AttributeProto.TENSOR:
            _convert_tensor(attribute.t)
