"""Train a network briefly, for the table only: far from what it could do, and enough to lose.

Accuracy that INT8 costs means something only where there is accuracy. Images are decoded once and
kept small, and augmented by whole batches, so that a core is busy with the network alone.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from converters.reference.training.train import learning_rate_factor, normalise
from edge.preprocess import InputSpec
from edge.text.progress import OnProgress
from tests.networks.training.catalogue import Network, build
from tests.networks.training.images import Labelled

BATCH: Final = 48
SEED: Final = 5
# Of features of random weights there are more than images: without it the fit is of noise.
RIDGE: Final = 1.0
# Least squares gives values from 0 to 1; logits of trained networks spread about so much more.
HEAD_SCALE: Final = 10.0
# Batch norms that keep statistics more slowly than this (torchvision's MobileNetV3 has 0.01) are
# behind the weights when so short a training ends.
SLOW_MOMENTUM: Final = 0.05
NORM_BATCHES: Final = 5


def trained(
    network: Network, images: Labelled, spec: InputSpec, on_progress: OnProgress
) -> nn.Module:
    """The network, trained as its entry in the catalogue says, in evaluation mode."""
    torch.manual_seed(SEED)
    class_count = int(images.labels.max()) + 1
    module = build(network, class_count, is_training=True)
    if network.epochs:
        _train(module, network, images, spec, on_progress)
    else:
        _estimate_norms(module, images, spec)
        _fit_head(module, images, spec, class_count, on_progress)
    return module.eval()


def predict(module: nn.Module, images: Labelled, spec: InputSpec) -> Tensor:
    """Logits (n, classes) in evaluation mode."""
    module.eval()
    with torch.inference_mode():
        return torch.cat([_logits(module(batch)) for batch in _batches(images, spec)])


def accuracy(module: nn.Module, images: Labelled, spec: InputSpec) -> float:
    return float((predict(module, images, spec).argmax(1).numpy() == images.labels).mean())


def _train(
    module: nn.Module, network: Network, images: Labelled, spec: InputSpec, on_progress: OnProgress
) -> None:
    rng = np.random.default_rng(SEED)
    steps = round(network.epochs * len(images.labels) / BATCH)
    optimiser = torch.optim.AdamW(_parameter_groups(module), lr=network.peak_learning_rate)
    # Half of the time on processors that have it; it is far slower on the others.
    has_bfloat16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - an operator's own name
    order: list[int] = []
    module.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = network.peak_learning_rate * learning_rate_factor(step, steps)
        if len(order) < BATCH:
            order = [int(n) for n in rng.permutation(len(images.labels))]
        chosen, order = order[:BATCH], order[BATCH:]
        batch = augmented(normalise(torch.from_numpy(images.images[chosen]), spec))
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16):
            logits = _logits(module(batch))
        labels = torch.from_numpy(images.labels[chosen])
        loss = nn.functional.cross_entropy(logits.float(), labels, label_smoothing=0.05)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        on_progress(f"training {network.name}", step + 1, steps)
    if any(norm.momentum is not None and norm.momentum < SLOW_MOMENTUM for norm in _norms(module)):
        _estimate_norms(module, images, spec)


def augmented(images: Tensor) -> Tensor:
    """A batch (n, 3, side, side) turned, mirrored, shifted and recoloured at random.

    Turn and shift are those of the batch, mirrors and colours those of each image.
    """
    count, shift = images.shape[0], images.shape[2] // 12
    turned = torch.rot90(images, int(torch.randint(4, ())), (2, 3))
    mirrored = (torch.rand(count) < 0.5).view(-1, 1, 1, 1)
    turned = torch.where(mirrored, turned.flip(3), turned)
    padded = nn.functional.pad(turned, (shift,) * 4, mode="reflect")
    top, left = (int(n) for n in torch.randint(2 * shift + 1, (2,)))
    moved = padded[:, :, top : top + images.shape[2], left : left + images.shape[3]]
    gain, offset = (0.1 * torch.randn(count, 3, 1, 1) for _ in range(2))
    return moved * (1 + gain) + offset


def _norms(module: nn.Module) -> list[nn.BatchNorm2d | nn.BatchNorm1d]:
    return [m for m in module.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)]


def _estimate_norms(module: nn.Module, images: Labelled, spec: InputSpec) -> None:
    """Batch norms with the statistics of the weights as they are, over images of all classes.

    Without, features of random weights fade to nothing.
    """
    norms = _norms(module)
    if not norms:
        return
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    chosen = np.linspace(0, len(images.labels) - 1, NORM_BATCHES * BATCH).astype(int)
    # Images lie by class.
    chosen = np.random.default_rng(SEED).permutation(chosen)
    with torch.no_grad():
        for batch in _batches(Labelled(images.images[chosen], images.labels[chosen]), spec):
            module(batch)
    module.eval()


def _fit_head(
    module: nn.Module,
    images: Labelled,
    spec: InputSpec,
    class_count: int,
    on_progress: OnProgress,
) -> None:
    """The last linear layers by least squares on what they are given."""
    heads = [m for m in module.modules() if isinstance(m, nn.Linear)]
    heads = [m for m in heads if m.out_features == class_count]
    given: list[list[Tensor]] = [[] for _ in heads]
    for head, kept in zip(heads, given, strict=True):
        head.register_forward_pre_hook(lambda _, inputs, kept=kept: kept.append(inputs[0]))
    module.eval()
    with torch.no_grad():
        batches = _batches(images, spec)
        for number, batch in enumerate(batches):
            module(batch)
            on_progress("fitting the last layer", number + 1, len(batches))
        wanted = nn.functional.one_hot(torch.from_numpy(images.labels), class_count).double()
        for head, kept in zip(heads, given, strict=True):
            head._forward_pre_hooks.clear()  # noqa: SLF001 - nn.Module cannot take back a hook that it loaded
            weights, bias = _least_squares(torch.cat(kept).double(), wanted)
            head.weight.copy_(HEAD_SCALE * weights)
            head.bias.copy_(HEAD_SCALE * bias)


def _least_squares(features: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (classes, features) and bias (classes) of a ridge regression."""
    mean, spread = features.mean(0), features.std(0) + 1e-6
    scaled = (features - mean) / spread
    size = scaled.shape[1]
    normal = scaled.T @ scaled + RIDGE * len(scaled) * torch.eye(size, dtype=scaled.dtype)
    solved = torch.linalg.solve(normal, scaled.T @ (wanted - wanted.mean(0)))
    weights = (solved / spread[:, None]).T
    return weights, wanted.mean(0) - weights @ mean


def _batches(images: Labelled, spec: InputSpec) -> list[Tensor]:
    starts = range(0, len(images.labels), BATCH)
    return [normalise(torch.from_numpy(images.images[n : n + BATCH]), spec) for n in starts]


def _logits(output: Any) -> Tensor:
    # transformers gives an object that holds the logits first.
    return output if isinstance(output, Tensor) else output[0]


def _parameter_groups(module: nn.Module) -> list[dict[str, object]]:
    decayed = [p for p in module.parameters() if p.ndim > 1]
    rest = [p for p in module.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
