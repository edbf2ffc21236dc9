"""Runs a torch module on images and chooses its logits. Runs in the child process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from converters.loading.intake.outputs import choose, flat, may_be_decision
from converters.loading.intake.subject.running import Arrays, is_near
from converters.loading.intake.subject.subject import Given
from converters.loading.torch_graph.chance import draws_by_chance
from converters.loading.torch_graph.of_images import of_images_alone
from converters.loading.torch_graph.tensors import chosen_alone, named_tensors
from converters.loading.torch_graph.trial import rows_of, runnable
from edge.errors import ModelError

_SAME: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Ran:
    """A module whose outputs are only tensors, and its outputs for the samples.

    Attributes:
        given: its batch is the batch to export with: 2, or the only one that works.
    """

    module: nn.Module
    given: Given
    changes: list[str]


def run_module(
    module: nn.Module,
    name: str,
    class_count: int,
    samples: NDArray[np.float32],
    batch: int = 0,
) -> Ran:
    """Run a module on normalised images (n, 3, h, w), twice, and choose its logits.

    Args:
        batch: the batch that the module was exported for; 0 if not known.

    Raises:
        ModelError: it does not run on such images, has no logits, or is random.
    """
    module, changes = of_images_alone(module, name)
    module, batch, found_out = runnable(module, name, samples, batch)
    changes += found_out
    first, second = (rows_of(module, samples, batch) for _ in range(2))
    if not first:
        raise _no_tensors(name, module, samples, batch)
    if not all(is_near(first[key], second[key], _SAME) for key in first):
        raise draws_by_chance(module, name, _images(samples, batch))
    if may_be_decision(first, class_count):
        module = chosen_alone(module, list(first), _images(samples, batch))
        batch = _example_batch(module, batch, samples, first)
        return Ran(module, Given(None, batch, first), changes)
    chosen = choose(first, name, class_count)
    if chosen:
        others = ", ".join(key for key in first if key != chosen) or "what is not a tensor"
        changes.append(f"of its outputs {chosen[:40]} was taken; left out: {others[:200]}")
        module = chosen_alone(module, [chosen], _images(samples, batch))
    outputs = np.asarray(flat(first[chosen]), np.float32)
    batch = _example_batch(module, batch, samples, {"": outputs})
    return Ran(module, Given(outputs, batch), changes)


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
