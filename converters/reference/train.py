"""Train the reference model: ImageNet weights, fine-tuned on peripheral blood cell images.

Reproducible from a seed on one kind of machine: every sample draws its random numbers from
(seed, epoch, position), whatever the number of threads.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from converters.reference.augment import augment
from converters.reference.samples import TrainingSamples, ValidationSample
from edge.preprocess import InputSpec, preprocess

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything besides the data that decides the weights."""

    epochs: int = 14
    batch_size: int = 32
    images_per_epoch: int = 4096
    peak_learning_rate: float = 1e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    ema_decay: float = 0.995
    seed: int = 20


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What one epoch gave; accuracies are of the averaged weights, by kind of image."""

    epoch: int
    loss: float
    accuracy: dict[str, float]


def train(
    network: Network,
    samples: TrainingSamples,
    validation: list[ValidationSample],
    spec: InputSpec,
    plan: TrainingPlan,
    *,
    on_batch: Callable[[int, int, float], None],
    on_epoch: Callable[[EpochResult], None],
) -> Network:
    """Fine-tune `network` and return the exponential moving average of its weights.

    Args:
        on_batch: called with (batch, batches of the whole run, loss) after every step.
        on_epoch: called after every epoch with the validation accuracy.
    """
    torch.manual_seed(plan.seed)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch; twice as fast
    averaged = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(
        _parameter_groups(network, plan.weight_decay), lr=plan.peak_learning_rate
    )
    steps_per_epoch = plan.images_per_epoch // plan.batch_size
    total_steps = plan.epochs * steps_per_epoch
    step = 0
    for epoch in range(plan.epochs):
        network.train()
        losses: list[float] = []
        for images, labels in batches(samples, spec, plan, epoch):
            for group in optimiser.param_groups:
                group["lr"] = plan.peak_learning_rate * learning_rate_factor(step, total_steps)
            losses.append(_train_step(network, optimiser, images, labels, plan))
            step += 1
            update_average(averaged, network, min(plan.ema_decay, step / (step + 10)))
            on_batch(step, total_steps, losses[-1])
        on_epoch(
            EpochResult(epoch + 1, float(np.mean(losses)), evaluate(averaged, validation, spec))
        )
    return averaged


def batches(
    samples: TrainingSamples, spec: InputSpec, plan: TrainingPlan, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented, normalised batches of one epoch, prepared while the previous one trains."""
    positions = range(plan.images_per_epoch)

    def prepare(start: int) -> tuple[Tensor, Tensor]:
        pairs = [
            _draw_sample(samples, spec, np.random.default_rng((plan.seed, epoch, position)))
            for position in positions[start : start + plan.batch_size]
        ]
        images = np.stack([image for image, _ in pairs])
        return normalise(images, spec), torch.tensor([label for _, label in pairs])

    starts = range(0, len(positions) - plan.batch_size + 1, plan.batch_size)
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = pool.submit(prepare, starts[0])
        for start in starts[1:]:
            ready, pending = pending.result(), pool.submit(prepare, start)
            yield ready
        yield pending.result()


def normalise(images: NDArray[np.uint8], spec: InputSpec) -> Tensor:
    """uint8 (batch, height, width, 3) to the network's float (batch, 3, height, width)."""
    mean = torch.tensor(spec.mean).view(1, 3, 1, 1)
    std = torch.tensor(spec.std).view(1, 3, 1, 1)
    channels_first = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return ((channels_first - mean) / std).contiguous(memory_format=torch.channels_last)


def evaluate(
    network: nn.Module, validation: list[ValidationSample], spec: InputSpec
) -> dict[str, float]:
    """Accuracy per kind of image (native, denoised224, drawn)."""
    correct: dict[str, list[bool]] = {}
    for start in range(0, len(validation), 64):
        chunk = validation[start : start + 64]
        images = np.stack([preprocess(sample.image, spec) for sample in chunk])
        with torch.inference_mode():
            predicted = network(normalise(images, spec)).argmax(1).tolist()
        for sample, label in zip(chunk, predicted, strict=True):
            correct.setdefault(sample.kind, []).append(sample.label == label)
    return {kind: float(np.mean(hits)) for kind, hits in sorted(correct.items())}


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
    for target, source in zip(
        averaged.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if target.dtype.is_floating_point:
            target.lerp_(source, 1 - decay)
        else:
            target.copy_(source)


def _draw_sample(
    samples: TrainingSamples, spec: InputSpec, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], int]:
    image, label = samples.draw(rng)
    return preprocess(augment(image, rng), spec), label


def _train_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    plan: TrainingPlan,
) -> float:
    logits = network(images)
    loss = nn.functional.cross_entropy(logits, labels, label_smoothing=plan.label_smoothing)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return float(loss.detach())


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    # Biases and batch-norm parameters are not decayed.
    decayed = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
