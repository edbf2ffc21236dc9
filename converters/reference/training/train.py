"""Trains the reference model: ImageNet weights, fine-tuned on peripheral blood cell images.

The result is reproducible from a seed on the same kind of machine. The random numbers of a sample
depend only on (seed, epoch, position), not on the number of processes that prepare images.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from converters.reference.data.pbc import CLASSES
from converters.reference.training.augment import augment
from converters.reference.training.foreign import augment_as_foreign
from converters.reference.training.samples import TrainingSamples, ValidationSample
from edge.preprocess import InputSpec, preprocess

Network = TypeVar("Network", bound=nn.Module)

_PREDICT_BATCH: Final = 64
_PLATELET: Final = CLASSES.index("platelet")


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything besides the data that determines the weights.

    In the first `small_share` of the epochs the images' sides are scaled by `small_scale`, which
    takes half the time without loss (progressive resizing, Tan and Le, EfficientNetV2, 2021).
    `foreign_share` of the images are changed as another laboratory would make them.
    """

    epochs: int = 36
    batch_size: int = 32
    images_per_epoch: int = 4096
    peak_learning_rate: float = 1e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    ema_decay: float = 0.995
    small_share: float = 0.4
    small_scale: float = 0.7
    foreign_share: float = 0.0
    seed: int = 20


# Continues from a trained network, which then works better on images of other laboratories.
SECOND_STAGE: Final = TrainingPlan(
    epochs=10, peak_learning_rate=4e-4, small_share=0.6, foreign_share=0.5
)


@dataclass(frozen=True, slots=True)
class Hardware:
    """torch's name of the device, and the number of processes that prepare images.

    With 0 processes, images are prepared between the steps.
    """

    device: str = "cpu"
    workers: int = 1


@dataclass(frozen=True, slots=True)
class EpochResult:
    """The result of one epoch; accuracies are those of the averaged weights, by kind of image."""

    epoch: int
    loss: float
    accuracy: dict[str, float]


@dataclass(frozen=True, slots=True)
class Listener:
    """Functions that are called with progress.

    Attributes:
        on_batch: called after every step with (step, steps of the whole run, loss), where the
            loss is a scalar on the device.
        on_epoch: called after every epoch.
    """

    on_batch: Callable[[int, int, Tensor], None]
    on_epoch: Callable[[EpochResult], None]


def train(
    network: Network,
    samples: TrainingSamples,
    validation: list[ValidationSample],
    spec: InputSpec,
    plan: TrainingPlan,
    *,
    hardware: Hardware,
    listener: Listener,
) -> Network:
    """Fine-tune `network` and return the exponential moving average of its weights.

    Args:
        hardware: the returned weights are on its device.
    """
    torch.manual_seed(plan.seed)
    torch.backends.cudnn.deterministic = True
    network.to(device=hardware.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch; twice as fast
    averaged = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(
        _parameter_groups(network, plan.weight_decay), lr=plan.peak_learning_rate
    )
    steps_per_epoch = plan.images_per_epoch // plan.batch_size
    total_steps = plan.epochs * steps_per_epoch
    losses: list[Tensor] = []
    network.train()
    for step, (pixels, labels) in enumerate(batches(samples, spec, plan, hardware.workers)):
        images = normalise(pixels.to(hardware.device), spec)
        for group in optimiser.param_groups:
            group["lr"] = plan.peak_learning_rate * learning_rate_factor(step, total_steps)
        losses.append(_train_step(network, optimiser, images, labels.to(hardware.device), plan))
        update_average(averaged, network, min(plan.ema_decay, (step + 1) / (step + 11)))
        listener.on_batch(step + 1, total_steps, losses[-1])
        if (step + 1) % steps_per_epoch == 0:
            mean = float(torch.stack(losses).mean())
            epoch = (step + 1) // steps_per_epoch
            listener.on_epoch(EpochResult(epoch, mean, evaluate(averaged, validation, spec)))
            losses.clear()
    return averaged


class _Stream(Dataset[tuple[Tensor, int]]):
    """The images of the whole run, one epoch after the other."""

    def __init__(self, samples: TrainingSamples, spec: InputSpec, plan: TrainingPlan) -> None:
        self._samples, self._spec, self._plan = samples, spec, plan
        height, width = (round(side * plan.small_scale) for side in (spec.height, spec.width))
        self._small = replace(spec, height=height, width=width)
        # An incomplete last batch is dropped.
        self._per_epoch = plan.images_per_epoch // plan.batch_size * plan.batch_size

    def __len__(self) -> int:
        return self._plan.epochs * self._per_epoch

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        epoch, position = divmod(number, self._per_epoch)
        rng = np.random.default_rng((self._plan.seed, epoch, position))
        image, label = self._samples.draw(rng)
        is_small = epoch < self._plan.epochs * self._plan.small_share
        spec = self._small if is_small else self._spec
        # Without a second stage no number is drawn, so that the first gives the weights it gave.
        if self._plan.foreign_share and rng.random() < self._plan.foreign_share:
            varied = augment_as_foreign(image, spec, rng, is_platelet=label == _PLATELET)
        else:
            varied = augment(image, spec, rng)
        return torch.from_numpy(varied), label


def batches(
    samples: TrainingSamples, spec: InputSpec, plan: TrainingPlan, workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented batches of the whole run, prepared while the previous ones train.

    Yields:
        uint8 (batch, height, width, 3), in early epochs smaller, and class indices (batch,).
    """
    loader = DataLoader(_Stream(samples, spec, plan), plan.batch_size, num_workers=workers)
    # The processes share the cores, so OpenCV must use one thread in each. This is set before the
    # fork: in a child it would wait for threads that exist only in this process.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    found: Iterator[tuple[Tensor, Tensor]] = iter(loader)
    cv2.setNumThreads(threads)
    return found


def normalise(images: Tensor, spec: InputSpec) -> Tensor:
    """uint8 (batch, height, width, 3) to the network's float (batch, 3, height, width)."""
    mean = torch.tensor(spec.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=images.device).view(1, 3, 1, 1)
    channels_first = images.permute(0, 3, 1, 2).float() / 255
    return ((channels_first - mean) / std).contiguous(memory_format=torch.channels_last)


def evaluate(
    network: nn.Module, validation: list[ValidationSample], spec: InputSpec
) -> dict[str, float]:
    """Accuracy per kind of image (native, denoised224, drawn)."""
    correct: dict[str, list[bool]] = {}
    if not validation:
        return {}
    predicted = predict(network, validation, spec).argmax(axis=1)
    for sample, label in zip(validation, predicted, strict=True):
        correct.setdefault(sample.kind, []).append(sample.label == label)
    return {kind: float(np.mean(hits)) for kind, hits in sorted(correct.items())}


def predict(
    network: nn.Module, samples: list[ValidationSample], spec: InputSpec
) -> NDArray[np.float32]:
    """Logits (images, classes) of a network in evaluation mode; at least one image."""
    device = next(network.parameters()).device
    rows = []
    for start in range(0, len(samples), _PREDICT_BATCH):
        chunk = samples[start : start + _PREDICT_BATCH]
        pixels = np.stack([preprocess(sample.image, spec) for sample in chunk])
        with torch.inference_mode():
            images = normalise(torch.from_numpy(pixels).to(device), spec)
            rows.append(network(images).float().cpu().numpy())
    return np.concatenate(rows)


def learning_rate_factor(step: int, total_steps: int) -> float:
    """Linear warm-up over 5 % of the steps, then half a cosine down to zero."""
    warm_up_steps = max(1, total_steps // 20)
    if step < warm_up_steps:
        return (step + 1) / warm_up_steps
    done = (step - warm_up_steps) / max(1, total_steps - warm_up_steps)
    return 0.5 * (1 + math.cos(math.pi * done))


@torch.no_grad()
def update_average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights and batch-norm statistics towards the current ones."""
    pairs = list(zip(averaged.state_dict().values(), network.state_dict().values(), strict=True))
    floats = [pair for pair in pairs if pair[0].dtype.is_floating_point]
    # One call for all tensors: on a GPU, a call per tensor would take as long each.
    torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1 - decay)
    for target, source in pairs:
        if not target.dtype.is_floating_point:
            target.copy_(source)


def _train_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    plan: TrainingPlan,
) -> Tensor:
    """Run one step; the loss stays on the device, because copying it would wait for the step."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=images.is_cuda):
        logits = network(images)
    loss = nn.functional.cross_entropy(logits.float(), labels, label_smoothing=plan.label_smoothing)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return loss.detach()


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    # Biases and batch-norm parameters are not decayed.
    decayed = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
