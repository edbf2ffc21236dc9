from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edge.errors import ConfigError
from edge.preprocess import InputSpec
from tests.networks.formats import FORMATS, Source
from tests.networks.training import command
from tests.networks.training.brief import accuracy, augmented, trained
from tests.networks.training.catalogue import NETWORKS, Network, build, card_architecture
from tests.networks.training.images import Labelled, card_input
from tests.networks.training.store import load_network, save_network

SIDE_PX = 32
SPEC = InputSpec.from_dict(card_input(SIDE_PX))
SMALL = Network("resnet", "tests.support.networks.networks:resnet", SIDE_PX, 0)


def slow_resnet(class_count: int) -> nn.Module:
    """Its batch norms follow the images far too slowly for a brief training."""
    module: nn.Module = build(SMALL, class_count)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1e-6
    return module


def coloured(count: int) -> Labelled:
    """Red, green or blue noise; the colour is the class."""
    rng = np.random.default_rng(3)
    labels = np.arange(count) % 3
    images = rng.integers(0, 90, (count, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    images[np.arange(count), :, :, labels] += 120
    return Labelled(images, labels)


@pytest.mark.parametrize(
    ("architecture", "epochs"),
    [(SMALL.architecture, 0), (SMALL.architecture, 8), (f"{__name__}:slow_resnet", 8)],
)
def test_network_trained_tells_colours_apart(architecture: str, epochs: int) -> None:
    network = Network("resnet", architecture, SIDE_PX, epochs)
    steps: list[int] = []
    module = trained(network, coloured(96), SPEC, lambda _, done, __: steps.append(done))
    assert not module.training
    assert accuracy(module, coloured(30), SPEC) > 0.95
    assert steps == list(range(1, len(steps) + 1))


def test_augmented_batch_keeps_its_shape_and_changes() -> None:
    torch.manual_seed(1)
    images = torch.rand(4, 3, 24, 24)
    found = augmented(images)
    assert found.shape == images.shape
    assert not torch.equal(found, images)


def test_network_saved_is_loaded_with_its_card(tmp_path: Path) -> None:
    torch.manual_seed(2)
    module = build(SMALL, 8).eval()
    save_network(tmp_path, SMALL, module, {"name": "resnet", "input": card_input(SIDE_PX)})
    loaded, card = load_network(tmp_path, SMALL)
    images = torch.rand(1, 3, SIDE_PX, SIDE_PX)
    assert torch.equal(loaded(images), module(images))
    assert InputSpec.from_dict(card["input"]) == SPEC


def test_network_not_trained_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="train --networks resnet"):
        load_network(tmp_path, SMALL)


def test_train_goes_on_after_a_network_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_images", lambda *_: coloured(6))
    said: list[str] = []
    missing = Network("missing", "no_such_library:network", SIDE_PX, 0)
    chosen = [NETWORKS["mobilenet_v3_unbalanced"], missing, NETWORKS["cells8"]]
    assert command.train_all(chosen, tmp_path, tmp_path, 1, said.append) == 1
    assert "train --networks mobilenet_v3 " in said[1]
    assert "no_such_library" in said[3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells8.pt", "cells8.yaml"]
    assert command.train_all(chosen[2:], tmp_path, tmp_path, 1, said.append) == 0
    assert said[-1] == "1 of 1: cells8 is there"


def test_card_names_the_architecture_with_its_arguments() -> None:
    assert card_architecture(NETWORKS["vit_tiny"]) == {
        "name": "timm:vit_tiny_patch16_224",
        "img_size": 96,
    }
    assert card_architecture(NETWORKS["tv_resnet18"]) == "torchvision:resnet18"


@pytest.mark.filterwarnings("ignore")
def test_format_ir_3_has_its_weights_among_the_inputs(tmp_path: Path) -> None:
    module = build(SMALL, 3).eval()
    written = FORMATS["onnx, IR 3, opset 9"](Source(SMALL, module, tmp_path, SIDE_PX))
    model = onnx.load(written.model)
    assert model.ir_version == 3
    assert model.opset_import[0].version == 9
    weights = {tensor.name for tensor in model.graph.initializer}
    assert weights
    assert weights < {value.name for value in model.graph.input}


@pytest.mark.filterwarnings("ignore")
def test_format_nhwc_takes_channels_last(tmp_path: Path) -> None:
    module = build(SMALL, 3).eval()
    written = FORMATS["onnx, NHWC"](Source(SMALL, module, tmp_path, SIDE_PX))
    (images,) = onnx.load(written.model).graph.input
    sides = [dimension.dim_value for dimension in images.type.tensor_type.shape.dim]
    assert sides[1:] == [SIDE_PX, SIDE_PX, 3]
    assert written.card == {}
