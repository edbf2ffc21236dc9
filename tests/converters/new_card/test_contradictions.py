"""A card that says other than the config.json beside the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from converters.inputs.card import ModelCard, read_card
from converters.new_card.contradictions import contradictions
from tests.support.networks.tiny_network import CARD

TIMM = {
    "architecture": "vit_tiny_patch16_224",
    "num_classes": 3,
    "label_names": ["no", "007", "grün"],
    "pretrained_cfg": {
        "input_size": [3, 64, 48],
        "interpolation": "bicubic",
        "crop_pct": 0.9,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.25],
    },
}


def card_of(folder: Path, **changes: Any) -> ModelCard:
    (folder / "card.yaml").write_text(yaml.safe_dump({**CARD, **changes}))
    return read_card(folder / "card.yaml")


def test_card_that_contradicts_the_configuration_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TIMM))
    card = card_of(tmp_path, architecture="timm:resnet18")
    found = [text.split(" says ")[1].split(" ")[0] for text in contradictions(tmp_path / "m", card)]
    keys = ["classes", "input.height", "input.width", "input.mean", "input.std", "input.crop"]
    assert found == [*keys, "architecture"]


def test_card_that_agrees_with_the_configuration_gives_no_warning(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TIMM))
    spec = {**CARD["input"], "height": 64, "width": 48, "crop": 0.9}
    card = card_of(
        tmp_path,
        architecture="timm:vit_tiny_patch16_224.tag",
        classes=["no", "007", "grün"],
        input=spec | {"mean": [0.5] * 3, "std": [0.5, 0.5, 0.25]},
    )
    assert contradictions(tmp_path / "m.pt", card) == []
