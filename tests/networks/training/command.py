"""Train the networks of the catalogue that are not there yet."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

import converters.reference
from converters.reference.data.pbc import CLASSES, read_manifest
from edge.command.progress import StepProgress
from edge.errors import ConfigError
from edge.files.yaml_file import read_yaml
from edge.preprocess import InputSpec
from tests.networks.training.brief import accuracy, trained
from tests.networks.training.catalogue import (
    NETWORKS,
    REFERENCE,
    UNBALANCED,
    Network,
    build,
    card_architecture,
)
from tests.networks.training.images import Labelled, card_input, first_of_each_class, load
from tests.networks.training.store import load_network, save_network
from tests.support.networks.networks import Classifier
from tests.support.networks.unbalance_network import unbalance

# To fit a last layer, and to say what came of it.
HEAD_PER_CLASS: Final = 100
VALIDATION_PER_CLASS: Final = 40


def train_all(
    networks: list[Network], data: Path, nets: Path, threads: int, say: Callable[[str], None]
) -> int:
    """Train one after the other; returns 1 where one failed, after the others."""
    torch.set_num_threads(threads)
    failed = 0
    for number, network in enumerate(networks, 1):
        if (nets / f"{network.name}.pt").is_file():
            say(f"{number} of {len(networks)}: {network.name} is there")
            continue
        say(f"{number} of {len(networks)}: {network.name}")
        try:
            say(f"  {_train(network, data, nets)}")
        # A library that is missing, or the network that this one is made from.
        except (ModuleNotFoundError, ConfigError) as error:
            say(f"  left out: {error}")
            failed = 1
    return failed


def _train(network: Network, data: Path, nets: Path) -> str:
    start = time.monotonic()
    if network.name in _MADE_FROM_ANOTHER:
        return _MADE_FROM_ANOTHER[network.name](network, nets)
    spec = InputSpec.from_dict(card_input(network.side_px))
    images = _images(data, "train", spec, HEAD_PER_CLASS if not network.epochs else None)
    with StepProgress(sys.stderr) as progress:
        module = trained(network, images, spec, progress.update)
    judged = accuracy(module, _images(data, "val", spec, VALIDATION_PER_CLASS), spec)
    how = f"{network.epochs:g} epochs" if network.epochs else "last layer"
    save_network(nets, network, module, _card(network, card_input(network.side_px), how))
    return f"validation accuracy {judged:.1%}, {(time.monotonic() - start) / 60:.1f} minutes"


@functools.cache
def _images(data: Path, split: str, spec: InputSpec, per_class: int | None) -> Labelled:
    """The split, or the first of each class; kept for the next network of the same input."""
    files = read_manifest(data, split)
    if per_class is not None:
        files = first_of_each_class(files, per_class)
    with StepProgress(sys.stderr) as progress:
        return load(files, spec, progress.update)


def _copy_reference(network: Network, nets: Path) -> str:
    """The model that comes with the product, under its card's input."""
    folder = Path(converters.reference.__file__).parent
    module = build(network, len(CLASSES))
    module.load_state_dict(torch.load(folder / f"{REFERENCE}.pt", weights_only=True))
    card = read_yaml(folder / f"{REFERENCE}.yaml")
    save_network(nets, network, module, _card(network, card["input"], "as shipped"))
    return "as shipped"


def _unbalance(network: Network, nets: Path) -> str:
    module, card = load_network(nets, NETWORKS["mobilenet_v3"])
    assert isinstance(module, Classifier)
    unbalance(module)
    save_network(nets, network, module, _card(network, card["input"], card["source"]))
    return "made from mobilenet_v3"


def _card(network: Network, card_input: dict[str, Any], how: str) -> dict[str, Any]:
    return {
        "name": network.name,
        "version": "1",
        "architecture": card_architecture(network),
        "classes": list(CLASSES),
        "input": card_input,
        "unidentified_below": 0.5,
        # The table says it of each network.
        "source": how,
    }


_MADE_FROM_ANOTHER: Final = {REFERENCE: _copy_reference, UNBALANCED: _unbalance}
