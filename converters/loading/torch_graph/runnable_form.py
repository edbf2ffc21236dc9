"""Finds the layout, precision and batch with which a module runs. Runs in the child process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from converters.loading.canonical.inputs import CHANNELS_LAST
from converters.loading.canonical.working_model.graph_session import (
    LIKELY_BATCHES,
    Arrays,
    first_of_batch,
    is_near,
)
from converters.loading.canonical.working_model.refusals import does_not_run, has_other_channels
from converters.loading.checks.kernels import cause_of
from converters.loading.torch_graph.images_only import ImagesOnly
from converters.loading.torch_graph.tensors import named_tensors
from edge.errors import ModelError

_SAME: Final = 1e-4
# Other numbers of input channels that networks may have.
_OTHER_CHANNELS: Final = (1, 4, 2)


def find_runnable_form(
    module: nn.Module, name: str, samples: NDArray[np.float32], batch: int
) -> tuple[nn.Module, int, list[str]]:
    """Find a form of the module that runs on images (n, 3, h, w).

    It is tried as stored, then in FP32, then with channels last.

    Args:
        batch: the batch that it was exported for; 0 if not known.

    Returns:
        The module in that form, the smallest batch that works, and the changes in words.

    Raises:
        ModelError: it does not run on such images.
    """
    reasons: list[Exception] = []
    batches = (batch,) if batch else LIKELY_BATCHES
    for candidate in _forms(module):
        for tried in batches:
            try:
                _run(candidate, samples[:1], tried)
            except Exception as error:  # noqa: BLE001  # untrusted code may raise anything
                reasons.append(cause_of(error))
                continue
            is_last = isinstance(candidate, ImagesOnly) and candidate.is_channels_last
            changes = [CHANNELS_LAST] if is_last else []
            return candidate, _smallest(candidate, samples[:1], tried), changes
    raise _does_not_run(module, name, samples, reasons[len(batches)])


def _forms(module: nn.Module) -> Iterator[nn.Module]:
    yield module
    yield module.float()
    yield ImagesOnly(module, is_channels_last=True)


def _run(module: nn.Module, sample: NDArray[np.float32], batch: int) -> Any:
    return module(torch.from_numpy(np.repeat(sample, batch, axis=0)))


def _smallest(module: nn.Module, sample: NDArray[np.float32], batch: int) -> int:
    """One, if a batch of one gives the same outputs; else `batch`."""
    if batch == 1:
        return batch
    try:
        alone, together = (rows_of(module, sample, count) for count in (1, batch))
    except Exception:  # noqa: BLE001  # as above
        return batch
    is_free = all(is_near(alone[key], together[key], _SAME) for key in together)
    return 1 if is_free else batch


def _does_not_run(
    module: nn.Module, name: str, samples: NDArray[np.float32], error: Exception
) -> ModelError:
    height, width = samples.shape[2:]
    for channels in _OTHER_CHANNELS:
        try:
            module(torch.zeros(1, channels, height, width))
        except Exception:  # noqa: BLE001, S112  # as above
            continue
        return has_other_channels(name, channels)
    return does_not_run(name, (height, width), error, lambda h, w: _at_size(module, h, w))


def _at_size(module: nn.Module, height: int, width: int) -> object:
    image = torch.zeros(1, 3, height, width)
    try:
        return module(image)
    except Exception:  # noqa: BLE001  # as above
        return ImagesOnly(module, is_channels_last=True)(image)


def rows_of(module: nn.Module, samples: NDArray[np.float32], batch: int) -> Arrays:
    """All outputs (n, ...) by path, of images run one by one, each repeated to fill the batch."""
    found: list[Arrays] = []
    for sample in samples:
        tensors = named_tensors(_run(module, sample[None], batch))
        found.append({key: _array(tensor, batch) for key, tensor in tensors.items()})
    return {key: np.stack([row[key] for row in found]) for key in found[0]}


def _array(tensor: Tensor, batch: int) -> NDArray[Any]:
    held = tensor.detach().cpu()
    values = held.float() if held.is_floating_point() else held
    return first_of_batch(values.numpy(), batch)
