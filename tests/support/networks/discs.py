"""Discs that differ in size, colour and grain, and a network that tells them apart.

An importable module, as the converter opens models in a process of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from converters.loading.samples import normalise
from edge.preprocess import InputSpec, preprocess

CLASSES = ("small", "middle", "large", "pale", "dark", "grainy", "rough")
INPUT: dict[str, Any] = {
    "height": 32,
    "width": 32,
    "channels": "rgb",
    "resize": "area",
    "crop": 1.0,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
_RADIUS_PX = {"small": 13, "large": 34}
_COLOUR = {"pale": (190, 120, 150), "dark": (90, 40, 60)}
_GRAIN = {"grainy": 40.0, "rough": 100.0}


def draw_disc(name: str, seed: int) -> NDArray[np.uint8]:
    """A disc in its class's size, colour and grain, so that no entry of the card is idle.

    Sizes tell crops apart, colours channels and normalisations. Grain of one pixel is averaged
    away by `area`, not by a resize that picks single pixels.
    """
    rng = np.random.default_rng((CLASSES.index(name), seed))
    rows, columns = np.mgrid[:96, :96] - 47.5 - rng.integers(-2, 3, (2, 1, 1))
    radius_px = _RADIUS_PX.get(name, 22) + rng.integers(-1, 2)
    inside = (rows**2 + columns**2 < radius_px**2)[..., None]
    image = np.where(inside, _COLOUR.get(name, (160, 80, 60)), (200, 190, 180))
    grain = rng.normal(0, _GRAIN.get(name, 10.0), (96, 96, 1))
    return np.clip(image + grain, 0, 255).astype(np.uint8)


class DiscNetwork(nn.Sequential):
    def __init__(self, class_count: int) -> None:
        super().__init__(
            nn.Conv2d(3, 16, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 24, 3, 2, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(24, class_count),
        )


def train_on_discs() -> DiscNetwork:
    spec = InputSpec.from_dict(INPUT)
    torch.manual_seed(5)
    network = DiscNetwork(len(CLASSES))
    small = [preprocess(draw_disc(CLASSES[n % len(CLASSES)], 1000 + n), spec) for n in range(245)]
    images, labels = (
        torch.from_numpy(normalise(np.stack(small), spec)),
        torch.arange(245) % len(CLASSES),
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=0.005)
    for step in range(300):
        some = torch.arange(step % 5, 245, 5)
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images[some]), labels[some]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.eval()
