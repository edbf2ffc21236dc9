"""Rewrites any valid ONNX classifier into the canonical form. `take_in` lists the steps.

Runs in the child process, since the model is not trusted yet. The converter checks the result
again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.loading.graph_file.graph import check_operators, decode_graph
from converters.loading.graph_file.size_search import at_any_size
from converters.loading.intake.batch.free import free_batch
from converters.loading.intake.control_flow.branches import write_out_branches
from converters.loading.intake.floats import all_float32
from converters.loading.intake.heads import remove_head
from converters.loading.intake.initializers import fold_constants, plain_initializers
from converters.loading.intake.inputs import one_image_input
from converters.loading.intake.names import drop_blank_ends, drop_doubled_names, safe_names
from converters.loading.intake.opsets.newer import not_newer
from converters.loading.intake.opsets.older import not_older
from converters.loading.intake.outputs import (
    drop_constants,
    drop_maps,
    expose_scores,
    flat,
    name_outputs,
    one_output,
    scores_in,
)
from converters.loading.intake.subject.running import Arrays, batch_of, is_near, open_graph
from converters.loading.intake.subject.subject import Given, Subject
from converters.loading.intake.training_mode import in_training_mode, refuse_training_mode
from converters.onnx_graph.editing import copy_of
from edge.errors import ModelError

# Accepted difference between the logits in FP32 and in FP16 or BF16, as a share of their range.
_LOW_PRECISION_TOLERANCE: Final = 0.05
# Accepted difference between two runs of one image, for other orders of sums.
_SAME: Final = 1e-4
# Accepted difference of labels and their scores, also for FP16.
_DECIDED: Final = 0.01
_UNKNOWN: Final = Given()


def take_in(
    content: bytes,
    name: str,
    class_count: int,
    samples: NDArray[np.float32],
    given: Given = _UNKNOWN,
) -> Subject:
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
    subject = Subject(model, name, class_count, samples, given.outputs, given.batch, given.decision)
    drop_doubled_names(subject)
    drop_blank_ends(subject)
    plain_initializers(subject)
    refuse_training_mode(subject)
    not_older(subject)
    one_image_input(subject)
    write_out_branches(subject)
    plain_initializers(subject)
    _take_outputs(subject)
    not_newer(subject)
    plain_initializers(subject)
    fold_constants(subject)
    free_batch(subject)
    remove_head(subject)
    safe_names(subject)
    return subject


def _take_outputs(subject: Subject) -> None:
    """Convert to FP32, choose the output with the logits, and set the expected outputs.

    For a torch module, the outputs were computed in its own precision, and FP32 is compared with
    them. For an ONNX file there is no such reference: on the CPU, ONNX Runtime computes FP16 in
    FP32.
    """
    is_converted = all_float32(subject)
    drop_constants(subject)
    fold_constants(subject)
    found = _run(subject)
    _require_decision(subject, found)
    if not scores_in(found, subject.class_count):
        found = _scores_behind(subject) or found
    outputs = one_output(subject, found)
    if subject.outputs is None:
        subject.outputs = outputs
    elif is_converted:
        if not is_near(outputs, subject.outputs, _LOW_PRECISION_TOLERANCE):
            raise _differs_in_fp32(subject)
        subject.outputs = outputs


def _scores_behind(subject: Subject) -> Arrays | None:
    """If a graph outputs only its decision, output the scores behind it instead."""
    original, found = subject.model, None
    subject.model = copy_of(original)
    if expose_scores(subject.model):
        found = scores_in(_run(subject), subject.class_count)
    if not found:
        subject.model = original
        return None
    subject.changes.append("it gives its decision alone: the scores behind it were taken")
    return found


def _require_decision(subject: Subject, found: Arrays) -> None:
    """Check that the graph of a source that outputs only decisions makes the same decisions."""
    pairs = zip(found.values(), subject.decision.values(), strict=bool(subject.decision))
    if not all(is_near(flat(one), flat(other), _DECIDED) for one, other in pairs):
        raise _differs_in_fp32(subject)


def _differs_in_fp32(subject: Subject) -> ModelError:
    return ModelError(
        f"{subject.name} gives other outputs in FP32 than in the precision that it is stored in. "
        "Export the network in FP32, as it was trained."
    )


def _run(subject: Subject) -> Arrays:
    """All outputs for the samples; refuses a model whose second run gives others."""
    try:
        running = open_graph(subject.model)
        subject.batch = batch_of(running, subject.batch, subject.samples)
        first, second = (running.rows(subject.samples, subject.batch) for _ in range(2))
    except RuntimeError as error:
        raise subject.does_not_run(error, _at_another_size(subject)) from error
    if not all(is_near(first[name], second[name], _SAME) for name in first):
        raise in_training_mode(subject.name, "two runs of one image differ")
    return first


def _at_another_size(subject: Subject) -> Callable[[int, int], object]:
    """A function that runs the model on an image of any height and width, or raises."""
    batch = max(subject.batch, 1)
    running = cache(lambda: open_graph(at_any_size(subject.model)))

    def run(height: int, width: int) -> object:
        return running().infer(np.zeros((batch, 3, height, width), np.float32))

    return run
