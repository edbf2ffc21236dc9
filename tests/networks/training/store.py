"""Trained networks and their cards in a folder: NAME.pt and NAME.yaml."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from converters.reference.data.pbc import CLASSES
from edge.errors import ConfigError
from edge.files import atomic
from edge.files.yaml_file import read_yaml
from edge.preprocess import InputSpec
from tests.networks.training.catalogue import Network, build


def save_network(folder: Path, network: Network, module: nn.Module, card: dict[str, Any]) -> None:
    """Write NAME.pt (a state dict) and NAME.yaml (its card)."""
    content = io.BytesIO()
    torch.save({k: v.cpu().contiguous() for k, v in module.state_dict().items()}, content)
    text = yaml.safe_dump(card, sort_keys=False)
    atomic.write_file(folder / f"{network.name}.yaml", text.encode())
    # Last, since it is what says that the network is there.
    atomic.write_file(folder / f"{network.name}.pt", content.getvalue())


def load_network(folder: Path, network: Network) -> tuple[nn.Module, dict[str, Any]]:
    """A trained network in evaluation mode, and its card.

    Raises:
        ConfigError: it was not trained yet.
    """
    path = folder / f"{network.name}.pt"
    if not path.is_file():
        raise ConfigError(
            f"{path} is not there; python -m tests.networks train --networks {network.name} ..."
        )
    card = read_yaml(path.with_suffix(".yaml"))
    module = build(network, len(CLASSES))
    module.load_state_dict(torch.load(path, weights_only=True))
    return module.eval(), card


def input_of(card: dict[str, Any]) -> InputSpec:
    return InputSpec.from_dict(card["input"])
