"""Stripes that differ in their period, and a network that tells the periods apart.

It has no sense of size but the period in pixels, so that an input of another size misleads it. An
importable module, as the converter opens models in a process of its own.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from converters.loading.samples import normalise
from edge.preprocess import InputSpec, preprocess

CLASSES = ("fine", "middle", "coarse")
SPEC = InputSpec(48, 48, "rgb", "area", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_PERIOD_PX = {"fine": 6.0, "middle": 9.0, "coarse": 13.5}


def draw_grating(name: str, seed: int) -> NDArray[np.uint8]:
    """Stripes of any direction on 96 x 96 px."""
    rng = np.random.default_rng((CLASSES.index(name), seed))
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:96, :96]
    place = rows * np.sin(angle) + columns * np.cos(angle)
    stripes = 128 + 80 * np.sin(2 * np.pi * place / _PERIOD_PX[name] + phase)
    image = stripes[..., None] + rng.normal(0, 10, (96, 96, 3))
    return np.asarray(np.clip(image, 0, 255), np.uint8)


class GratingNetwork(nn.Sequential):
    def __init__(self, class_count: int) -> None:
        super().__init__(
            nn.Conv2d(3, 24, 7, 1, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(24, class_count),
        )


def train_on_gratings() -> GratingNetwork:
    """About 5 s on one core."""
    torch.manual_seed(5)
    network = GratingNetwork(len(CLASSES))
    names = [CLASSES[n % 3] for n in range(120)]
    small = [preprocess(draw_grating(name, 1000 + n), SPEC) for n, name in enumerate(names)]
    images = torch.from_numpy(normalise(np.stack(small), SPEC))
    labels = torch.arange(120) % 3
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for step in range(150):
        some = torch.arange(step % 4, 120, 4)
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images[some]), labels[some]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.eval()
