"""Small networks that differ in their last layers alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from converters.export.torch_to_onnx import source_to_onnx
from tests.support.networks.calibrated import SPEC, exported

CHANNELS, CLASSES = 6, 3
Behind = Callable[[nn.ModuleDict, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Head:
    """What follows the maps (n, 6, 4, 4) of a trunk, and the number of its features."""

    layers: Callable[[], dict[str, nn.Module]]
    forward: Behind
    features: int = 0


class Network(nn.Module):
    def __init__(self, head: Head) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(3, CHANNELS, 5, 4, 2), nn.ReLU(), nn.AvgPool2d(4), nn.Tanh()
        )
        self.head = nn.ModuleDict(head.layers())
        self.behind = head.forward

    def forward(self, images: Tensor) -> Tensor:
        return self.behind(self.head, self.trunk(images))


def graph_of(head: Head, folder: Path) -> onnx.ModelProto:
    """The network with a head, at random but always the same, as the converter exports it."""
    torch.manual_seed(2)
    network = Network(head).eval()
    return source_to_onnx(exported(network, some_images(4), folder), SPEC)


def some_images(count: int) -> NDArray[np.uint8]:
    """Images of noise, uint8 (count, 64, 64, 3), each of other colours."""
    random = np.random.default_rng(4)
    level = random.uniform(0, 1, (count, 1, 1, 3))
    return (random.uniform(0, 255, (count, 64, 64, 3)) * level).astype(np.uint8)


def pooled(maps: Tensor) -> Tensor:
    return maps.mean([2, 3])


def linear(inputs: int = CHANNELS) -> Callable[[], dict[str, nn.Module]]:
    return lambda: {"a": nn.Linear(inputs, CLASSES)}


def _two(inputs: int) -> Callable[[], dict[str, nn.Module]]:
    return lambda: {"a": nn.Linear(CHANNELS, CLASSES), "b": nn.Linear(inputs, CLASSES)}


HEADS: dict[str, Head] = {
    "linear": Head(linear(), lambda h, x: h["a"](pooled(x)), CHANNELS),
    "without bias": Head(
        lambda: {"a": nn.Linear(CHANNELS, CLASSES, bias=False)},
        lambda h, x: h["a"](pooled(x)),
        CHANNELS,
    ),
    "two layers": Head(
        lambda: {"a": nn.Linear(CHANNELS, 5), "b": nn.Linear(5, CLASSES)},
        lambda h, x: h["b"](h["a"](pooled(x)).relu()),
        5,
    ),
    "convolution of pooled maps": Head(
        lambda: {"a": nn.Conv2d(CHANNELS, CLASSES, 1)},
        lambda h, x: h["a"](x.mean([2, 3], keepdim=True)).flatten(1),
        CHANNELS,
    ),
    "convolution of whole maps": Head(
        lambda: {"a": nn.Conv2d(CHANNELS, CLASSES, 4)},
        lambda h, x: h["a"](x).flatten(1),
        CHANNELS * 16,
    ),
    "flattened maps": Head(linear(CHANNELS * 16), lambda h, x: h["a"](x.flatten(1)), CHANNELS * 16),
    "scaled logits": Head(linear(), lambda h, x: h["a"](pooled(x)) * 3 / 0.7 + 1, CHANNELS),
    "classes in another order": Head(
        linear(), lambda h, x: h["a"](pooled(x))[:, [2, 0, 1]], CHANNELS
    ),
    "mean of two heads": Head(
        _two(CHANNELS),
        lambda h, x: (h["a"](pooled(x)) + h["b"](x.amax([2, 3]))) / 2,
        2 * CHANNELS,
    ),
    "two heads on one row": Head(
        _two(CHANNELS),
        lambda h, x: torch.cat([h["a"](pooled(x)), h["b"](pooled(x))[:, :1]], 1)[:, 1:],
        CHANNELS,
    ),
    "one of the tokens": Head(
        linear(), lambda h, x: h["a"](x.flatten(2).transpose(1, 2)[:, 0]), CHANNELS
    ),
    "one token": Head(linear(), lambda h, x: h["a"](pooled(x)[:, None])[:, 0], CHANNELS),
}

REFUSED: dict[str, tuple[Head, str]] = {
    "squashed logits": (
        Head(linear(), lambda h, x: h["a"](pooled(x)).tanh()),
        r"come from Tanh .*, not from a linear layer",
    ),
    "distances": (
        Head(linear(), lambda h, x: -((h["a"](pooled(x)) - 1) ** 2)),
        "not from a linear layer",
    ),
    "inverse": (Head(linear(), lambda h, x: 1 / h["a"](pooled(x))), "not from a linear layer"),
    "product of heads": (
        Head(_two(CHANNELS), lambda h, x: h["a"](pooled(x)) * h["b"](pooled(x))),
        "come from Mul .*, not from a linear layer",
    ),
    "no layer": (Head(dict, lambda _, x: pooled(x)[:, :CLASSES]), "not from a linear layer"),
    "maps pooled after the last layer": (
        Head(
            lambda: {"a": nn.Conv2d(CHANNELS, CLASSES, 1)},
            lambda h, x: h["a"](x)[:, :, 1, 2],
        ),
        "over maps of 4 x 4, which are not pooled",
    ),
    "a layer on every token": (
        Head(linear(), lambda h, x: h["a"](x.flatten(2).transpose(1, 2))[:, 0]),
        "of one image, not one row",
    ),
    "too many features": (
        Head(
            lambda: {"a": nn.Linear(CHANNELS * 16 * 86, CLASSES)},
            lambda h, x: h["a"](x.flatten(1).repeat(1, 86)),
        ),
        "reads 8256 numbers an image, at most 8192 are kept",
    ),
}
