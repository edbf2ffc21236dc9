"""Rewrites any valid ONNX classifier into the canonical form. `canonicalize` lists the steps.

Runs in the child process, since the model is not trusted yet. The converter checks the result
again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.loading.canonical.batch.dynamic import make_batch_dynamic
from converters.loading.canonical.control_flow.branches import inline_control_flow
from converters.loading.canonical.floats import convert_to_float32
from converters.loading.canonical.heads import remove_head
from converters.loading.canonical.initializers import fold_constants, plain_initializers
from converters.loading.canonical.inputs import canonical_input
from converters.loading.canonical.names import (
    drop_duplicate_names,
    drop_trailing_blanks,
    safe_names,
)
from converters.loading.canonical.opsets.newer import convert_newer_opset
from converters.loading.canonical.opsets.older import convert_older_opset
from converters.loading.canonical.outputs import (
    drop_constants,
    drop_maps,
    expose_scores,
    flat,
    name_outputs,
    one_output,
    scores_in,
)
from converters.loading.canonical.training_mode import in_training_mode, refuse_training_mode
from converters.loading.canonical.working_model.graph_session import (
    Arrays,
    batch_of,
    is_near,
    open_graph,
)
from converters.loading.canonical.working_model.working_model import SourceOutputs, WorkingModel
from converters.loading.graph_file.graph import check_operators, decode_graph
from converters.loading.graph_file.size_search import at_any_size
from converters.onnx_graph.editing import copy_of
from edge.errors import ModelError

# Accepted difference between the logits in FP32 and in FP16 or BF16, as a share of their range.
_LOW_PRECISION_TOLERANCE: Final = 0.05
# Accepted difference between two runs of one image, for other orders of sums.
_SAME: Final = 1e-4
# Accepted difference of labels and their scores, also for FP16.
_DECIDED: Final = 0.01
_UNKNOWN: Final = SourceOutputs()


def canonicalize(
    content: bytes,
    name: str,
    class_count: int,
    samples: NDArray[np.float32],
    given: SourceOutputs = _UNKNOWN,
) -> WorkingModel:
    """Bring a model to canonical form: a dynamic batch of images to logits, FP32, no control flow.

    Args:
        name: the file's name, for messages.
        samples: normalised images (n, 3, h, w).
        given: the outputs of the source's own framework for them.

    Raises:
        ModelError: that is impossible; the message says why and what to do.
    """
    model = decode_graph(content, name)
    drop_maps(model)
    name_outputs(model)
    check_operators(model, name)
    working = WorkingModel(
        model, name, class_count, samples, given.outputs, given.batch, given.decision
    )
    drop_duplicate_names(working)
    drop_trailing_blanks(working)
    plain_initializers(working)
    refuse_training_mode(working)
    convert_older_opset(working)
    canonical_input(working)
    inline_control_flow(working)
    plain_initializers(working)
    _take_outputs(working)
    convert_newer_opset(working)
    plain_initializers(working)
    fold_constants(working)
    make_batch_dynamic(working)
    remove_head(working)
    safe_names(working)
    return working


def _take_outputs(working: WorkingModel) -> None:
    """Convert to FP32, choose the output with the logits, and set the expected outputs.

    For a torch module, the outputs were computed in its own precision, and FP32 is compared with
    them. For an ONNX file there is no such reference: on the CPU, ONNX Runtime computes FP16 in
    FP32.
    """
    is_converted = convert_to_float32(working)
    drop_constants(working)
    fold_constants(working)
    found = _run(working)
    _require_decision(working, found)
    if not scores_in(found, working.class_count):
        found = _scores_before_decision(working) or found
    outputs = one_output(working, found)
    if working.outputs is None:
        working.outputs = outputs
    elif is_converted:
        if not is_near(outputs, working.outputs, _LOW_PRECISION_TOLERANCE):
            raise _differs_in_fp32(working)
        working.outputs = outputs


def _scores_before_decision(working: WorkingModel) -> Arrays | None:
    """If a graph outputs only its decision, output the scores behind it instead."""
    original, found = working.model, None
    working.model = copy_of(original)
    if expose_scores(working.model):
        found = scores_in(_run(working), working.class_count)
    if not found:
        working.model = original
        return None
    working.changes.append("it gives its decision alone: the scores behind it were taken")
    return found


def _require_decision(working: WorkingModel, found: Arrays) -> None:
    """Check that the graph of a source that outputs only decisions makes the same decisions."""
    pairs = zip(found.values(), working.decision.values(), strict=bool(working.decision))
    if not all(is_near(flat(one), flat(other), _DECIDED) for one, other in pairs):
        raise _differs_in_fp32(working)


def _differs_in_fp32(working: WorkingModel) -> ModelError:
    return ModelError(
        f"{working.name} gives other outputs in FP32 than in the precision that it is stored in. "
        "Export the network in FP32, as it was trained."
    )


def _run(working: WorkingModel) -> Arrays:
    """All outputs for the samples; refuses a model whose second run gives others."""
    try:
        session = open_graph(working.model)
        working.batch = batch_of(session, working.batch, working.samples)
        first, second = (session.rows(working.samples, working.batch) for _ in range(2))
    except RuntimeError as error:
        raise working.does_not_run(error, _at_another_size(working)) from error
    if not all(is_near(first[name], second[name], _SAME) for name in first):
        raise in_training_mode(working.name, "two runs of one image differ")
    return first


def _at_another_size(working: WorkingModel) -> Callable[[int, int], object]:
    """A function that runs the model on an image of any height and width, or raises."""
    batch = max(working.batch, 1)
    session = cache(lambda: open_graph(at_any_size(working.model)))

    def run(height: int, width: int) -> object:
        return session().infer(np.zeros((batch, 3, height, width), np.float32))

    return run
