"""A small network that tells three colours apart; an importable module, as the converter opens
models in a process of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

CLASSES = ("red", "green", "blue")
CARD: dict[str, Any] = {
    "name": "tiny",
    "version": "1.0",
    "architecture": "tests.support.networks.tiny_network:TinyNetwork",
    "classes": list(CLASSES),
    "input": {
        "height": 32,
        "width": 32,
        "channels": "rgb",
        "resize": "area",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
    "unidentified_below": 0.5,
}


class TinyNetwork(nn.Module):
    """Two convolutions with a residual, a mean over space and a linear layer."""

    def __init__(self, class_count: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()
        )
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU())
        self.classifier = nn.Linear(8, class_count)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images)
        features = features + self.second(features)
        logits: Tensor = self.classifier(features.mean([2, 3]))
        return logits


def train_tiny_network() -> TinyNetwork:
    torch.manual_seed(3)
    network = TinyNetwork(3)
    colours = torch.eye(3).repeat(16, 1)[:, :, None, None] * 3.0 - 1.0
    images = colours + 0.3 * torch.randn(48, 3, 32, 32)
    labels = torch.arange(48) % 3
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.eval()
