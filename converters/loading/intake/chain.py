"""From any legal ONNX classifier to the form that the converter reads. Read `take_in` first.

Runs in the child, since the model is still a stranger's; what comes out is checked again in the
converter.
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

# What FP16 and BF16 weights may move the logits by, as a share of their range.
_LOW_PRECISION_TOLERANCE: Final = 0.05
# Two runs of one image differ by nothing but the order of sums.
_SAME: Final = 1e-4
# Of labels and of the scores that they come with, in FP16 too.
_DECIDED: Final = 0.01
_UNKNOWN: Final = Given()


def take_in(
    content: bytes,
    name: str,
    class_count: int,
    samples: NDArray[np.float32],
    given: Given = _UNKNOWN,
) -> Subject:
    """The model with one dynamic batch of images in, logits out, FP32, no control flow.

    Args:
        name: of the file, for messages.
        samples: normalised images (n, 3, h, w).
        given: what the source's own framework gives for them.

    Raises:
        ModelError: it cannot be brought there; one line that says what it is and what to do.
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
    """FP32, one output, and what the source gives for the samples.

    A torch module of another precision was run in that. For an ONNX file nothing here could: ONNX
    Runtime's CPU computes FP16 in FP32.
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
    """The scores that a graph makes its decision of, which become its outputs, where it has any."""
    original, found = subject.model, None
    subject.model = copy_of(original)
    if expose_scores(subject.model):
        found = scores_in(_run(subject), subject.class_count)
    if not found:
        subject.model = original
        return None
    subject.changes.append("it gives its decision alone: the scores that it is made of were taken")
    return found


def _require_decision(subject: Subject, found: Arrays) -> None:
    """The graph of a source that gives its decision alone decides as the source does."""
    pairs = zip(found.values(), subject.decision.values(), strict=bool(subject.decision))
    if not all(is_near(flat(one), flat(other), _DECIDED) for one, other in pairs):
        raise _differs_in_fp32(subject)


def _differs_in_fp32(subject: Subject) -> ModelError:
    return ModelError(
        f"{subject.name} gives other outputs in FP32 than in the precision that it is stored in. "
        "Export the network in FP32, as it was trained."
    )


def _run(subject: Subject) -> Arrays:
    """All outputs for the samples, which are the same in a second run."""
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
    """Runs the model on an image of a height and width, and raises where it cannot."""
    batch = max(subject.batch, 1)
    running = cache(lambda: open_graph(at_any_size(subject.model)))

    def run(height: int, width: int) -> object:
        return running().infer(np.zeros((batch, 3, height, width), np.float32))

    return run
