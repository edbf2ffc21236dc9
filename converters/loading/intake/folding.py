"""Tensors that are computed of constants alone become constants."""

from __future__ import annotations

from typing import Final

import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from converters.loading.intake.editing import constants, prune
from converters.loading.intake.subject import Subject

# A tensor that is computed may be larger than the file that computes it.
_MAX_FOLDED_BYTES: Final = 256 * 1024**2
# Values drawn at random are none; quantized weights tell that a network is quantized already.
_KEPT: Final = frozenset(
    {
        *("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"),
        *("Bernoulli", "Multinomial", "Dropout", "QuantizeLinear", "DequantizeLinear"),
        *("If", "Loop", "Scan", "SequenceMap"),
    }
)


def fold_constants(subject: Subject) -> None:
    """Compute once what no image changes: expanded class tokens, shapes, masks."""
    model = subject.model
    known = set(constants(model))
    folded = []
    for node in model.graph.node:
        if (
            node.op_type not in _KEPT
            and node.output[0]
            and known.issuperset(filter(None, node.input))
        ):
            folded.append(node)
            known.update(node.output)
    if not folded:
        return
    inside = {name for node in folded for name in node.output if name}
    outside = [n for n in model.graph.node if n.output[0] not in inside]
    wanted = {name for node in outside for name in node.input} & inside
    values = _run(model, folded, sorted(wanted))
    if values is None:
        return
    model.graph.initializer.extend(values)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in outside]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    prune(model)


def _run(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], wanted: list[str]
) -> list[onnx.TensorProto] | None:
    """The values of tensors; None where ONNX Runtime lacks a kernel, as for BF16."""
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "constants",
        [],
        [onnx.ValueInfoProto(name=name) for name in wanted],
        [tensor for tensor in model.graph.initializer if tensor.name in read],
    )
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        providers = ["CPUExecutionProvider"]
        session = ort.InferenceSession(part.SerializeToString(), options, providers=providers)
        found = session.run(wanted, {})
    except Exception:  # noqa: BLE001  # ONNX Runtime's errors have no common class below Exception
        return None
    if sum(value.nbytes for value in found) > _MAX_FOLDED_BYTES:
        return None
    return [numpy_helper.from_array(v, name) for name, v in zip(wanted, found, strict=True)]
