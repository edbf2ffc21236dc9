"""Folds the quantization of weights into constants.

Graphs for TensorRT are run without ONNX Runtime's optimisations, which would change their results.
Then each inference would quantize all weights again, which takes most of a transformer's time.
"""

from __future__ import annotations

import onnx
from onnx import helper, numpy_helper

from converters.layers.shapes import run_as_written
from converters.onnx_graph.editing import copy_of, set_nodes

# Operators between a stored weight and its layer.
_STEPS = frozenset({"QuantizeLinear", "DequantizeLinear", "Cast"})


def fold_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose weights are constants with the values that the graph would compute."""
    known = {tensor.name for tensor in model.graph.initializer}
    folded = []
    for node in model.graph.node:
        if node.op_type in _STEPS and known.issuperset(name for name in node.input if name):
            folded.append(node)
            known.update(node.output)
    made = {name for node in folded for name in node.output}
    kept = [node for node in model.graph.node if node.output[0] not in made]
    wanted = sorted(made.intersection(name for node in kept for name in node.input))
    if not wanted:
        return model
    # No type is given: ONNX Runtime infers it.
    values = [onnx.ValueInfoProto(name=name) for name in wanted]
    part = helper.make_graph(folded, "weights", [], values, model.graph.initializer)
    sub = helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
    found = run_as_written(sub, {})
    result = copy_of(model)
    set_nodes(result, kept)
    used = {name for node in kept for name in node.input}
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del result.graph.initializer[:]
    result.graph.initializer.extend(tensors)
    result.graph.initializer.extend(map(numpy_helper.from_array, found, wanted))
    return result
