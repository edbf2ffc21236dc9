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

from converters.loading.graph import check_operators, decode_graph
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
    name_outputs,
    one_output,
    scores_in,
)
from converters.loading.intake.running import Arrays, batch_of, is_near, open_graph
from converters.loading.intake.subject import Subject
from converters.loading.intake.training_mode import in_training_mode, refuse_training_mode
from converters.loading.size_search import at_any_size
from edge.errors import ModelError

# What FP16 and BF16 weights may move the logits by, as a share of their range.
_LOW_PRECISION_TOLERANCE: Final = 0.05
# Two runs of one image differ by nothing but the order of sums.
_SAME: Final = 1e-4


def take_in(
    content: bytes,
    name: str,
    class_count: int,
    samples: NDArray[np.float32],
    outputs: NDArray[np.float32] | None = None,
    batch: int = 0,
) -> Subject:
    """The model with one dynamic batch of images in, logits out, FP32, no control flow.

    Args:
        name: of the file, for messages.
        samples: normalised images (n, 3, h, w).
        outputs: what the source's own framework gives for them (n, classes); for an ONNX file,
            whose framework this is, None.
        batch: that the graph was exported with, 0 where nobody knows.

    Raises:
        ModelError: it cannot be brought there; one line that says what it is and what to do.
    """
    model = decode_graph(content, name)
    drop_maps(model)
    name_outputs(model)
    check_operators(model, name)
    subject = Subject(model, name, class_count, samples, outputs, batch)
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
    if not scores_in(found, subject.class_count):
        found = _run(subject) if expose_scores(subject.model) else found
    outputs = one_output(subject, found)
    if subject.outputs is None:
        subject.outputs = outputs
    elif is_converted:
        if not is_near(outputs, subject.outputs, _LOW_PRECISION_TOLERANCE):
            raise ModelError(
                f"{subject.name} gives other outputs in FP32 than in the precision that it is "
                "stored in. Export the network in FP32, as it was trained."
            )
        subject.outputs = outputs


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
