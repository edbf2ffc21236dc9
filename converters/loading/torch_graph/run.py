"""Runs a torch module on images and chooses its logits. Runs in the child process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from converters.loading.canonical.outputs import choose, flat, may_be_decision
from converters.loading.canonical.working_model.graph_session import Arrays, is_near
from converters.loading.canonical.working_model.working_model import SourceOutputs
from converters.loading.torch_graph.images_only import with_images_only
from converters.loading.torch_graph.randomness import random_outputs
from converters.loading.torch_graph.runnable_form import find_runnable_form, rows_of
from converters.loading.torch_graph.tensors import named_tensors, select_outputs
from edge.errors import ModelError

_SAME: Final = 1e-4


@dataclass(frozen=True, slots=True)
class RunResult:
    """A module whose outputs are only tensors, and its outputs for the samples.

    Attributes:
        given: its batch is the batch to export with: 2, or the only one that works.
    """

    module: nn.Module
    given: SourceOutputs
    changes: list[str]


def run_module(
    module: nn.Module,
    name: str,
    class_count: int,
    samples: NDArray[np.float32],
    batch: int = 0,
) -> RunResult:
    """Run a module on normalised images (n, 3, h, w), twice, and choose its logits.

    Args:
        batch: the batch that the module was exported for; 0 if not known.

    Raises:
        ModelError: it does not run on such images, has no logits, or is random.
    """
    module, changes = with_images_only(module, name)
    module, batch, found_out = find_runnable_form(module, name, samples, batch)
    changes += found_out
    first, second = (rows_of(module, samples, batch) for _ in range(2))
    if not first:
        raise _no_tensors(name, module, samples, batch)
    if not all(is_near(first[key], second[key], _SAME) for key in first):
        raise random_outputs(module, name, _images(samples, batch))
    if may_be_decision(first, class_count):
        module = select_outputs(module, list(first), _images(samples, batch))
        batch = _example_batch(module, batch, samples, first)
        return RunResult(module, SourceOutputs(None, batch, first), changes)
    chosen = choose(first, name, class_count)
    if chosen:
        others = ", ".join(key for key in first if key != chosen) or "what is not a tensor"
        changes.append(f"of its outputs {chosen[:40]} was taken; left out: {others[:200]}")
        module = select_outputs(module, [chosen], _images(samples, batch))
    outputs = np.asarray(flat(first[chosen]), np.float32)
    batch = _example_batch(module, batch, samples, {"": outputs})
    return RunResult(module, SourceOutputs(outputs, batch), changes)


def _images(samples: NDArray[np.float32], batch: int) -> Tensor:
    """A batch of the right size for the module."""
    return torch.from_numpy(np.repeat(samples[:1], batch, axis=0))


def _example_batch(
    module: nn.Module, batch: int, samples: NDArray[np.float32], rows: Arrays
) -> int:
    """Two, so that the exporter sees a batch, if the module works with it; else `batch`."""
    pair = [0, len(samples) - 1]
    try:
        found = named_tensors(module(torch.from_numpy(samples[pair]))).values()
        is_free = all(
            is_near(flat(values.float().numpy()), flat(row[pair]), _SAME * 10)
            for values, row in zip(found, rows.values(), strict=True)
        )
    except Exception:  # noqa: BLE001  # untrusted code may raise anything
        return batch
    return 2 if is_free else batch


def _no_tensors(
    name: str, module: nn.Module, samples: NDArray[np.float32], batch: int
) -> ModelError:
    output = module(_images(samples, batch))
    return ModelError(
        f"{name} gives {type(output).__name__} for an image; a classifier that gives a tensor of "
        "logits is needed. Export the classifier alone."
    )
