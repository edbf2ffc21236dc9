"""Make a trained network fragile without changing what it computes in float.

The outputs of a stage of inverted residuals are linear, so
some of their channels can be scaled by a factor and the readers' weights by its inverse. Eight bits
per tensor then cannot hold the other channels: the imbalance that breaks compact networks, made
strong enough that any per-tensor quantization shows it.
"""

from __future__ import annotations

import torch
from torch import nn

from tests.support.networks.networks import Classifier, InvertedResidual

CHANNELS = (0, 1)


@torch.no_grad()
def unbalance(network: Classifier, *, stage: int = 4, factor: float = 300.0) -> None:
    """Scale `CHANNELS` of one stage's outputs by `factor`, and their readers' weights back."""
    blocks = [layer for layer in network.trunk if isinstance(layer, InvertedResidual)]
    first = [i for i, block in enumerate(blocks) if not block.has_identity][stage]
    members = [first]
    while members[-1] + 1 < len(blocks) and blocks[members[-1] + 1].has_identity:
        members.append(members[-1] + 1)
    for index in members:
        norm = last_norm(blocks[index])
        for channel in CHANNELS:
            norm.weight[channel] *= factor
            norm.bias[channel] *= factor
    for index in (*members[1:], members[-1] + 1):
        expand = first_convolution(blocks[index])
        for channel in CHANNELS:
            expand.weight[:, channel] /= factor


def last_norm(block: InvertedResidual) -> nn.BatchNorm2d:
    return [layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)][-1]


def first_convolution(block: InvertedResidual) -> nn.Conv2d:
    return next(layer for layer in block.modules() if isinstance(layer, nn.Conv2d))
