"""Inlines control flow that does not depend on the image, and refuses other control flow.

Calibration, layer correction and TensorRT need a graph that runs the same nodes for every image.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from converters.loading.canonical.control_flow.inlining import Renamer
from converters.loading.canonical.control_flow.loops import unroll
from converters.loading.canonical.working_model.graph_session import open_graph
from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.onnx_graph.editing import copy_of, prune, replace
from converters.onnx_graph.lookup import array, constants, producers
from converters.onnx_graph.nested import all_names
from edge.errors import ModelError

CONTROL_FLOW: Final = ("If", "Loop", "Scan", "SequenceMap")
# Their outputs depend only on a tensor's shape, which is the same for all images.
_OF_SHAPE: Final = ("Shape", "Size")
_TRIED_BATCHES: Final = (1, 2, 5)
# More nodes than any network for cell images has.
_MAX_WRITTEN_OUT: Final = 2000


def inline_control_flow(working: WorkingModel) -> None:
    """Replace each If by its branch, and each Loop by copies of its body.

    Raises:
        ModelError: which branch is taken, or how often a loop runs, depends on the image.
    """
    names = []
    for _ in range(_MAX_WRITTEN_OUT):
        node = next((n for n in working.model.graph.node if n.op_type in CONTROL_FLOW), None)
        if node is None:
            break
        names.append(node.op_type)
        if not _write_out(working, node):
            raise _depends_on_image(working, node)
    if names:
        kinds = " and ".join(sorted(set(names)))
        working.changes.append(f"its control flow ({kinds}), the same for every image, was inlined")


def _write_out(working: WorkingModel, node: onnx.NodeProto) -> bool:
    """Replace a node of control flow; False if that is impossible."""
    if node.op_type == "If":
        condition = constant_value(working, node.input[0])
        if condition is None:
            return False
        branch = "then_branch" if bool(condition.any()) else "else_branch"
        _inline(working.model, node, next(a.g for a in node.attribute if a.name == branch))
        return True
    if node.op_type == "Loop":
        rounds = constant_value(working, node.input[0]) if node.input[0] else None
        starts = constant_value(working, node.input[1]) if node.input[1] else np.ones((), bool)
        if rounds is None or starts is None:
            return False
        return unroll(working.model, node, int(rounds.reshape(-1)[0]) if starts.any() else 0)
    return False


def constant_value(working: WorkingModel, name: str) -> NDArray[np.generic] | None:
    """The value of a tensor that does not depend on the image or the batch; None if it does."""
    if (known := array(constants(working.model), name)) is not None:
        return known
    probe = copy_of(working.model)
    del probe.graph.output[:]
    probe.graph.output.append(onnx.ValueInfoProto(name=name))
    prune(probe)
    if _reads_pixels(probe, name):
        return None
    try:
        session = open_graph(probe)
        height, width = working.size
        batches = (working.batch,) if working.batch else _TRIED_BATCHES
        values = [
            session.infer(np.zeros((batch, 3, height, width), np.float32))[name]
            for batch in batches
        ]
    except RuntimeError:
        return None
    return values[0] if all(np.array_equal(values[0], value) for value in values) else None


def _reads_pixels(probe: onnx.ModelProto, name: str) -> bool:
    """Whether a tensor depends on the values of the image, not only on its shape."""
    images = {value.name for value in probe.graph.input}
    computed = producers(probe)
    waiting, seen = [name], set[str]()
    while waiting:
        current = waiting.pop()
        if current in images:
            return True
        node = computed.get(current)
        if current in seen or node is None or node.op_type in _OF_SHAPE:
            continue
        seen.add(current)
        if node.op_type in CONTROL_FLOW:
            # Its branches may read tensors that are not among its inputs.
            return True
        waiting.extend(node.input)
    return False


def _inline(model: onnx.ModelProto, node: onnx.NodeProto, branch: onnx.GraphProto) -> None:
    """Replace an If node by the nodes of one of its branches."""
    renamer = Renamer(branch, all_names(model.graph))
    results = [
        helper.make_node("Identity", [renamer.renamed(value.name)], [output])
        for value, output in zip(branch.output, node.output, strict=True)
        if output
    ]
    model.graph.initializer.extend(renamer.initializers())
    replace(model, node, [*renamer.nodes(), *results])


def _depends_on_image(working: WorkingModel, node: onnx.NodeProto) -> ModelError:
    return ModelError(
        f"{working.name} has control flow ({node.op_type} {node.name[:60]}): a branch or a number "
        "of loops that depends on the image or on the batch. The same computation for every image "
        "is needed. Export it without the branch, or with torch.jit.trace if one branch is always "
        "taken."
    )
