"""A network that computes in float what it should and breaks in INT8.

One channel of an activation is a thousand times larger than the others, and the next layer's
weights undo it. ReLU lets a factor through, so the logits stay; eight bits per tensor cannot hold
both. Imbalance of this kind, in milder form, is what breaks compact networks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FACTOR = 1000.0


class FragileNetwork(nn.Module):
    """Four convolutions with ReLU, a mean over space and a linear layer."""

    def __init__(self, class_count: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.second = nn.Conv2d(8, 8, 3, 1, 1)
        self.third = nn.Conv2d(8, 16, 3, 1, 1)
        self.fourth = nn.Conv2d(16, 16, 3, 1, 1)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(16, class_count)

    def forward(self, images: Tensor) -> Tensor:
        features = images
        for layer in (self.first, self.second, self.third, self.fourth):
            features = self.relu(layer(features))
        logits: Tensor = self.classifier(torch.flatten(self.pool(features), 1))
        return logits


def build(class_count: int) -> nn.Module:
    return FragileNetwork(class_count)


def train_fragile_network() -> FragileNetwork:
    torch.manual_seed(4)
    network = FragileNetwork(3)
    colours = torch.eye(3).repeat(16, 1)[:, :, None, None] * 3.0 - 1.0
    labels = torch.arange(48) % 3
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(60):
        images = colours + 0.3 * torch.randn(48, 3, 32, 32)
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    unbalance(network)
    return network.eval()


@torch.no_grad()
def unbalance(network: FragileNetwork) -> None:
    largest = int(network.second.weight.abs().sum(dim=(0, 2, 3)).argmax())
    assert network.first.bias is not None
    network.first.weight[largest] *= FACTOR
    network.first.bias[largest] *= FACTOR
    network.second.weight[:, largest] /= FACTOR
