"""Makes the batch dynamic where the exporter wrote the example's batch into the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import onnx
from onnx import helper

from converters.loading.canonical.batch.axis import RESHAPING, BatchAxis, Shape, follow_batch
from converters.loading.canonical.batch.restored import RestoredBatch, restore_batch
from converters.loading.canonical.batch.rows import expand_constants, take_one_row
from converters.loading.canonical.batch.strides import gathers_to_reshapes
from converters.loading.canonical.working_model.graph_session import (
    GraphSession,
    is_near,
    open_graph,
)
from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.onnx_graph.editing import (
    add_constant,
    copy_of,
    int_list,
    prune,
)
from converters.onnx_graph.lookup import Constants, array, constants, producers
from edge.errors import ModelError

BATCH: Final = "batch"
_TRIED_BATCHES: Final = (1, 2, 5)
_RECURRENT: Final = ("GRU", "LSTM", "RNN")
# Position of their first state among their inputs; an LSTM has a second one after it.
_STATES: Final = 5
# Kernels for different batches sum in different orders.
_TOLERANCE: Final = 1e-3
# In these a constant with one row is used for each image; in a Concat it must be repeated.
_BROADCASTING: Final = ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Where", "Concat")


class FixedBatchError(ModelError):
    """A graph with a fixed batch that cannot be made dynamic."""


def make_batch_dynamic(working: WorkingModel) -> None:
    """Make the batch dynamic, and check that each image gets the same logits in any batch.

    Raises:
        FixedBatchError: the graph is fixed to its batch.
    """
    candidate = _dynamic(working.model)
    reason = _what_differs(candidate, working)
    if reason is not None:
        freed = next((t for t in _rewrites(working) if _what_differs(t, working) is None), None)
        if freed is None:
            raise _fixed(working, reason)
        candidate = freed
        working.changes.append(f"its fixed batch of {working.batch} was made dynamic")
    working.model, working.batch = candidate, 1


def _dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose input and output declare a dynamic batch."""
    candidate = copy_of(model)
    for value in (*candidate.graph.input, *candidate.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    # Shapes that were inferred for a fixed batch are wrong now.
    del candidate.graph.value_info[:]
    return candidate


def _what_differs(candidate: onnx.ModelProto, working: WorkingModel) -> str | None:
    """In words, the first batch size with other logits than the source; None if there is none."""
    count = len(working.samples)
    try:
        session = open_graph(candidate)
    except RuntimeError:
        return "its shapes contradict each other for any other batch"
    for batch in _TRIED_BATCHES:
        chosen = [i % count for i in range(batch)]
        try:
            (found,) = session.infer(working.samples[chosen]).values()
        except RuntimeError:
            return f"it does not run on a batch of {batch}"
        if not is_near(found, working.source_logits()[chosen], _TOLERANCE):
            return f"a batch of {batch} gives other logits"
    return None


def _rewrites(working: WorkingModel) -> Iterator[onnx.ModelProto]:
    """Copies that may accept any batch: of the graph, and of it with a restored batch axis."""
    yield _rewritten(working.model, working)
    if working.batch == 1:
        model = copy_of(working.model)
        known, shapes = constants(model), _shapes(model, working)
        if restore_batch(
            RestoredBatch(model, known, shapes, follow_batch(model, known, shapes, 1))
        ):
            yield _rewritten(model, working)


def _fixed(working: WorkingModel, reason: str) -> FixedBatchError:
    return FixedBatchError(
        f"{working.name} is fixed to a batch of {working.batch} ({reason}), and a dynamic batch is "
        "needed. Let its forward keep the first axis (flatten(1), no flatten(0), squeeze() or "
        "x[0], no int(x.shape[0])), and export it with dynamic_axes={'x': {0: 'n'}} "
        "(torch.onnx.export) or dynamic_shapes=({0: torch.export.Dim('n')},) "
        "(torch.export.export)."
    )


def _rewritten(original: onnx.ModelProto, working: WorkingModel) -> onnx.ModelProto:
    """A copy with a dynamic batch in all nodes that have its size as a constant."""
    model = copy_of(original)
    known = constants(model)
    _leave_out_zero_states(model, known)
    gathers_to_reshapes(model, known, _shapes(model, working))
    while True:
        shapes = _shapes(model, working)
        places = follow_batch(model, known, shapes, working.batch)
        if not _keep_in_squeeze(model, shapes, places):
            break
    for node in list(model.graph.node):
        held = [name for name in node.input if name in places]
        if not held:
            continue
        place = places.get(node.output[0])
        if place is None:
            continue
        if working.batch > 1 and node.op_type in _BROADCASTING:
            take_one_row(model, known, node, shapes, place.axis)
        if node.op_type in _REWRITES:
            _REWRITES[node.op_type](model, node, shapes, place)
        elif node.op_type == "Concat":
            expand_constants(model, node, shapes, places)
    return _dynamic(model)


def _leave_out_zero_states(model: onnx.ModelProto, known: Constants) -> None:
    """Remove initial states of recurrent layers that are zeros for a fixed batch: the default."""
    computed = producers(model)
    for node in model.graph.node:
        if node.op_type not in _RECURRENT:
            continue
        for position in range(_STATES, min(len(node.input), _STATES + 2)):
            name = node.input[position]
            if name in computed and computed[name].op_type == "Expand":
                name = computed[name].input[0]
            state = array(known, name)
            if state is not None and not state.any():
                node.input[position] = ""
    prune(model)


def _shapes(model: onnx.ModelProto, working: WorkingModel) -> dict[str, Shape]:
    """The shapes of all tensors at the fixed batch, from a run."""
    probe = copy_of(model)
    present = {value.name for value in probe.graph.output}
    names = [name for node in probe.graph.node for name in node.output if name]
    probe.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in names if name not in present
    )
    images = np.repeat(working.samples[:1], working.batch, axis=0)
    session: GraphSession = open_graph(probe, optimised=False)
    # An output may be a list of tensors, which has no shape.
    found = {n: v for n, v in session.infer(images).items() if isinstance(v, np.ndarray)}
    shapes = {name: value.shape for name, value in found.items()}
    shapes[probe.graph.input[0].name] = images.shape
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in probe.graph.initializer}


def _reshape(
    model: onnx.ModelProto, node: onnx.NodeProto, shapes: Mapping[str, Shape], place: BatchAxis
) -> None:
    shape = list(shapes[node.output[0]])
    shape[place.axis] = -1
    name = int_list(model, "free_shape", shape)
    node.CopyFrom(
        helper.make_node("Reshape", [node.input[0], name], list(node.output), name=node.name)
    )


def _keep_in_squeeze(
    model: onnx.ModelProto, shapes: Mapping[str, Shape], places: Mapping[str, BatchAxis]
) -> bool:
    """Name the axes of one Squeeze that has none, without the batch; False if none is left.

    Without axes, Squeeze would also drop a batch of one.
    """
    for node in model.graph.node:
        place = places.get(node.input[0]) if node.input else None
        if node.op_type == "Squeeze" and len(node.input) < 2 and place is not None:
            sizes = shapes[node.input[0]]
            gone = [i for i, size in enumerate(sizes) if size == 1 and i != place.axis]
            if gone:
                node.input.append(int_list(model, "squeezed_axes", gone))
            else:
                # An empty list of axes would mean all axes of length 1.
                node.op_type = "Identity"
            return True
    return False


def _expand(
    model: onnx.ModelProto, node: onnx.NodeProto, shapes: Mapping[str, Shape], place: BatchAxis
) -> None:
    shape = list(shapes[node.output[0]])
    shape[place.axis] = 1
    node.input[1] = int_list(model, "free_shape", shape)


def _resize(
    model: onnx.ModelProto, node: onnx.NodeProto, shapes: Mapping[str, Shape], _: BatchAxis
) -> None:
    """Replace the sizes of a Resize, which include the batch, by scales."""
    if len(node.input) < 4 or not node.input[3]:
        return
    before, after = shapes[node.input[0]], shapes[node.output[0]]
    pairs = zip(before, after, strict=True)
    scales = [np.float32(new / old) for old, new in pairs]
    # A scale that was rounded down to FP32 may give a size that is one too small.
    held = [
        scale if int(old * scale) == new else np.nextafter(scale, np.float32(np.inf))
        for scale, old, new in zip(scales, before, after, strict=True)
    ]
    node.input[2] = add_constant(model, "free_scales", np.array(held, np.float32))
    del node.input[3:]


_REWRITES: Final = {
    **dict.fromkeys(RESHAPING, _reshape),
    "Expand": _expand,
    "Resize": _resize,
}
