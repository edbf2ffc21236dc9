"""Run a torch module on images, whatever it gives for them. In the child."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from converters.loading.checks.kernels import cause_of
from converters.loading.intake.outputs import choose, flat
from converters.loading.intake.refusals import does_not_run, has_other_channels
from converters.loading.intake.running import (
    LIKELY_BATCHES,
    Arrays,
    first_of_batch,
    is_near,
)
from converters.loading.intake.training_mode import in_training_mode
from edge.errors import ModelError

_SAME: Final = 1e-4
# Channels that networks have been trained for besides the three of colour images.
_OTHER_CHANNELS: Final = (1, 4, 2)


@dataclass(frozen=True, slots=True)
class Ran:
    """A module that gives one tensor of logits, and what it gave.

    Attributes:
        batch: of the example to export it with: 2, or the only one that it is made for.
        outputs: (n, classes) for the samples.
    """

    module: nn.Module
    batch: int
    outputs: NDArray[np.float32]
    changes: list[str]


class OneOutput(nn.Module):
    """A module of which one of several outputs is taken."""

    def __init__(self, module: nn.Module, chosen: str) -> None:
        super().__init__()
        self.module = module
        self.chosen = chosen

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes), with whatever axes of length 1 the module gives."""
        return named_tensors(self.module(images))[self.chosen]


def run_module(module: nn.Module, name: str, class_count: int, samples: NDArray[np.float32]) -> Ran:
    """Run a module on normalised images (n, 3, h, w), twice, and choose its logits.

    Raises:
        ModelError: it does not run on such images, has other outputs, or trains.
    """
    module, batch = _runnable(module, name, samples)
    first, second = (_rows(module, samples, batch) for _ in range(2))
    if not first:
        raise _no_tensors(name, module, samples, batch)
    if not all(is_near(first[key], second[key], _SAME) for key in first):
        raise in_training_mode(name, "two runs of one image differ, as dropout makes them")
    chosen = choose(first, name, class_count)
    changes = []
    if chosen:
        others = ", ".join(key for key in first if key != chosen) or "nothing"
        changes.append(f"of its outputs {chosen[:40]} was taken; left out: {others[:200]}")
        module = OneOutput(module, chosen)
    outputs = np.asarray(flat(first[chosen]), np.float32)
    return Ran(module, _example_batch(module, batch, samples, outputs), outputs, changes)


def _example_batch(
    module: nn.Module, batch: int, samples: NDArray[np.float32], outputs: NDArray[np.float32]
) -> int:
    """Two, which tells the exporter that there are batches, if the module takes them."""
    pair = [0, len(samples) - 1]
    try:
        found = module(torch.from_numpy(samples[pair]))
        (values,) = named_tensors(found).values()
        is_free = is_near(flat(values.float().numpy()), outputs[pair], _SAME * 10)
    except Exception:  # noqa: BLE001  # a stranger's code raises what it likes
        return batch
    return 2 if is_free else batch


def named_tensors(output: object, path: str = "") -> dict[str, Tensor]:
    """All tensors of an output by their path in it; a lone tensor has an empty one."""
    if isinstance(output, Tensor):
        return {path: output}
    if isinstance(output, Mapping):
        parts = dict(output)
    elif isinstance(output, tuple | list):
        parts = dict(zip(getattr(output, "_fields", range(len(output))), output, strict=True))
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        fields = dataclasses.fields(output)
        parts = {field.name: getattr(output, field.name) for field in fields}
    else:
        parts = {}
    found: dict[str, Tensor] = {}
    for key, part in parts.items():
        found |= named_tensors(part, f"{path}.{key}" if path else str(key))
    return found


def _runnable(module: nn.Module, name: str, samples: NDArray[np.float32]) -> tuple[nn.Module, int]:
    """The module as it is stored, or with its parameters in FP32, and a batch that it runs on."""
    reasons = []
    for as_float in (False, True):
        candidate = module.float() if as_float else module
        for batch in LIKELY_BATCHES:
            try:
                candidate(torch.from_numpy(np.repeat(samples[:1], batch, axis=0)))
            except Exception as error:  # noqa: BLE001  # a stranger's code raises what it likes
                reasons.append(cause_of(error))
            else:
                return candidate, batch
    raise _does_not_run(module, name, samples, reasons[len(LIKELY_BATCHES)])


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
    return does_not_run(name, (height, width), error, lambda h, w: module(torch.zeros(1, 3, h, w)))


def _rows(module: nn.Module, samples: NDArray[np.float32], batch: int) -> Arrays:
    """All outputs (n, ...) by their path, of images that are run one by one."""
    found: list[Arrays] = []
    for sample in samples:
        images = torch.from_numpy(np.repeat(sample[None], batch, axis=0))
        tensors = named_tensors(module(images))
        found.append({key: _array(tensor, batch) for key, tensor in tensors.items()})
    return {key: np.stack([row[key] for row in found]) for key in found[0]}


def _array(tensor: Tensor, batch: int) -> NDArray[Any]:
    held = tensor.detach().cpu()
    values = held.float() if held.is_floating_point() else held
    return first_of_batch(values.numpy(), batch)


def _no_tensors(
    name: str, module: nn.Module, samples: NDArray[np.float32], batch: int
) -> ModelError:
    output = module(torch.from_numpy(np.repeat(samples[:1], batch, axis=0)))
    return ModelError(
        f"{name} gives {type(output).__name__} for an image; a classifier that gives a tensor of "
        "logits is needed. Export the classifier alone."
    )
