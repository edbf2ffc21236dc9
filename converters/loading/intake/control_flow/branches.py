"""Control flow: what is the same for every image is written out, what depends on it is refused.

Ranges are counted and layers corrected on a graph that computes the same nodes for every image,
and TensorRT builds its kernels for such a one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from converters.loading.intake.control_flow.inlining import Renamer
from converters.loading.intake.control_flow.loops import unroll
from converters.loading.intake.subject.running import open_graph
from converters.loading.intake.subject.subject import Subject
from converters.onnx_graph.editing import copy_of, prune, replace
from converters.onnx_graph.lookup import array, constants, producers
from converters.onnx_graph.nested import all_names
from edge.errors import ModelError

CONTROL_FLOW: Final = ("If", "Loop", "Scan", "SequenceMap")
# These tell the shape of a tensor, which no image changes.
_OF_SHAPE: Final = ("Shape", "Size")
_TRIED_BATCHES: Final = (1, 2, 5)
# More nodes than any network for cell images has.
_MAX_WRITTEN_OUT: Final = 2000


def write_out_branches(subject: Subject) -> None:
    """Replace each If by the branch that is always taken, and each counted Loop by its rounds.

    Raises:
        ModelError: which branch is taken, or how often a loop runs, depends on the image.
    """
    names = []
    for _ in range(_MAX_WRITTEN_OUT):
        node = next((n for n in subject.model.graph.node if n.op_type in CONTROL_FLOW), None)
        if node is None:
            break
        names.append(node.op_type)
        if not _write_out(subject, node):
            raise _depends_on_image(subject, node)
    if names:
        kinds = " and ".join(sorted(set(names)))
        subject.changes.append(
            f"its control flow ({kinds}), the same for every image, was written out"
        )


def _write_out(subject: Subject, node: onnx.NodeProto) -> bool:
    """Whether the node could be replaced."""
    if node.op_type == "If":
        condition = constant_value(subject, node.input[0])
        if condition is None:
            return False
        branch = "then_branch" if bool(condition.any()) else "else_branch"
        _inline(subject.model, node, next(a.g for a in node.attribute if a.name == branch))
        return True
    if node.op_type == "Loop":
        rounds = constant_value(subject, node.input[0]) if node.input[0] else None
        starts = constant_value(subject, node.input[1]) if node.input[1] else np.ones((), bool)
        if rounds is None or starts is None:
            return False
        return unroll(subject.model, node, int(rounds.reshape(-1)[0]) if starts.any() else 0)
    return False


def constant_value(subject: Subject, name: str) -> NDArray[np.generic] | None:
    """The value of a tensor that is the same for all images and batches, None for any other."""
    if (known := array(constants(subject.model), name)) is not None:
        return known
    probe = copy_of(subject.model)
    del probe.graph.output[:]
    probe.graph.output.append(onnx.ValueInfoProto(name=name))
    prune(probe)
    if _reads_pixels(probe, name):
        return None
    try:
        running = open_graph(probe)
        height, width = subject.size
        batches = (subject.batch,) if subject.batch else _TRIED_BATCHES
        values = [
            running.infer(np.zeros((batch, 3, height, width), np.float32))[name]
            for batch in batches
        ]
    except RuntimeError:
        return None
    return values[0] if all(np.array_equal(values[0], value) for value in values) else None


def _reads_pixels(probe: onnx.ModelProto, name: str) -> bool:
    """Whether a tensor depends on an image's values, and not on its shape alone."""
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
            # What its branches read is not among its inputs.
            return True
        waiting.extend(node.input)
    return False


def _inline(model: onnx.ModelProto, node: onnx.NodeProto, branch: onnx.GraphProto) -> None:
    """Put a branch's nodes in the place of the node that holds it."""
    renamer = Renamer(branch, all_names(model.graph))
    results = [
        helper.make_node("Identity", [renamer.renamed(value.name)], [output])
        for value, output in zip(branch.output, node.output, strict=True)
        if output
    ]
    model.graph.initializer.extend(renamer.initializers())
    replace(model, node, [*renamer.nodes(), *results])


def _depends_on_image(subject: Subject, node: onnx.NodeProto) -> ModelError:
    return ModelError(
        f"{subject.name} holds control flow ({node.op_type} {node.name[:60]}): a branch or a "
        "number of rounds that depends on the image or on the batch. One computation for every "
        "image is needed. Export it without the branch, or by torch.jit.trace where one side is "
        "always taken."
    )
