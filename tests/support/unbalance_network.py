"""Make a trained network fragile without changing what it computes in float.

    python -m tests.support.unbalance_network --model DIR/mobilenet_v3.pt [--factor 300]

Writes NAME_unbalanced.pt and its card. The outputs of a stage of inverted residuals are linear, so
some of their channels can be scaled by a factor and the readers' weights by its inverse. Eight bits
per tensor then cannot hold the other channels: the imbalance that breaks compact networks, made
strong enough that any per-tensor quantization shows it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import yaml
from torch import nn

from tests.support.networks import NETWORKS, Classifier, InvertedResidual

CHANNELS = (0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--factor", type=float, default=300.0)
    parser.add_argument("--stage", type=int, default=4, help="which stage of equal width")
    arguments = parser.parse_args()
    card = yaml.safe_load(arguments.model.with_suffix(".yaml").read_text())
    network = NETWORKS[arguments.model.stem](len(card["classes"]))
    network.load_state_dict(torch.load(arguments.model, weights_only=True))
    assert isinstance(network, Classifier)
    network.eval()
    size = card["input"]["height"]
    images = torch.randn(4, 3, size, size)
    with torch.inference_mode():
        before = network(images)
    unbalance(network, arguments.stage, arguments.factor)
    with torch.inference_mode():
        after = network(images)
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
    name = f"{arguments.model.stem}_unbalanced"
    torch.save(network.state_dict(), arguments.model.with_name(f"{name}.pt"))
    arguments.model.with_name(f"{name}.yaml").write_text(yaml.safe_dump({**card, "name": name}))


@torch.no_grad()
def unbalance(network: Classifier, stage: int, factor: float) -> None:
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


if __name__ == "__main__":
    main()
