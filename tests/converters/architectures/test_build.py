"""Architectures by their names: what is called with what, and one line for what is not known."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from converters.architectures.build import build_network
from converters.architectures.name import Architecture, parse_architecture
from converters.inputs.card import read_card
from converters.loading.samples import normalise
from converters.loading.sandbox.limits import Limits
from converters.loading.sandbox.messages import ChildRequest, read_request, write_request
from edge.errors import ConfigError
from tests.support.networks.tiny_network import CARD, TinyNetwork

Calls = list[tuple[str, dict[str, Any]]]


class Library(ModuleType):
    """Stands for timm and torchvision, which the tests do without."""

    __version__ = "1.0"

    def __init__(self, name: str, calls: Calls) -> None:
        super().__init__(name)
        self.calls = calls
        self.models = self

    def list_models(self, **_: Any) -> list[str]:
        return ["resnet18", "resnet34", "vit_tiny_patch16_224"]

    def create_model(self, name: str, **arguments: Any) -> nn.Module:
        self.calls.append((name, arguments))
        return TinyNetwork(arguments["num_classes"])

    get_model = create_model


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    found: Calls = []
    for name in ("timm", "torchvision"):
        library = Library(name, found)
        monkeypatch.setitem(sys.modules, name, library)
        library.__spec__ = sys.__spec__
    return found


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("timm:vit_tiny_patch16_224", {"pretrained": False}),
        ("timm:vit_tiny_patch16_224.augreg", {"pretrained": False}),
        ("torchvision:resnet18", {"weights": None}),
    ],
)
def test_library_builds_the_named_network_with_the_card_s_arguments_and_no_weights(
    calls: Calls, name: str, weights: dict[str, Any]
) -> None:
    assert isinstance(build_network(Architecture(name, {"img_size": 96}), 8), TinyNetwork)
    assert calls == [(name.split(":")[1], {**weights, "num_classes": 8, "img_size": 96})]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("timm:resnet1", "timm:resnet1 is not in timm 1.0. Did you mean timm:resnet18, timm:resn"),
        ("timm:ViT_tiny_patch16_224", "Did you mean timm:vit_tiny_patch16_224?"),
        ("torchvision:resnet-34", "Did you mean torchvision:resnet34"),
        ("torchvision:zzz", "torchvision:zzz is not in torchvision 1.0."),
        ("resnet18", "Did you mean timm:resnet18 or torchvision:resnet18?"),
        ("torchvision.models.resnet18", "Did you mean timm:resnet18 or torchvision:resnet18?"),
    ],
)
def test_name_that_is_nearly_right_gets_the_nearest(calls: Calls, name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_network(Architecture(name), 3)
    assert hint in str(caught.value)
    assert calls == []


def test_library_that_is_not_installed_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match="needs timm, which is not installed here") as caught:
        build_network(Architecture("timm:resnet18"), 3)
    assert str(caught.value).endswith("pip install timm")


def test_library_that_another_one_needs_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def import_timm(_name: str) -> None:
        raise ModuleNotFoundError("no module", name="torchvision")

    monkeypatch.setattr("converters.architectures.libraries.importlib.import_module", import_timm)
    with pytest.raises(ConfigError, match="needs timm, and torchvision is not") as caught:
        build_network(Architecture("timm:resnet18"), 3)
    assert str(caught.value).endswith("pip install torchvision")


def keyword_only(*, num_classes: int, width: int = 1) -> nn.Module:
    return nn.Linear(width, num_classes)


def fails(class_count: int) -> nn.Module:
    raise RuntimeError(f"no network\nof {class_count}")


def test_function_of_the_person_takes_the_number_of_classes_first_or_by_name() -> None:
    first = build_network(Architecture("torch.nn:Linear", {"out_features": 2}), 5)
    assert isinstance(first, nn.Linear)
    assert first.in_features == 5
    named = build_network(Architecture(f"{__name__}:keyword_only", {"width": 4}), 7)
    assert isinstance(named, nn.Linear)
    assert (named.in_features, named.out_features) == (4, 7)


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        (Architecture(f"{__name__}:fails"), "cannot be built: RuntimeError: no network of 3"),
        (
            Architecture("tests.support.networks.tiny_network:TinyNetwork", {"depth": 2}),
            "TypeError: ",
        ),
        (Architecture("torch:zeros"), "not a torch module"),
        (Architecture("no_such:network"), "Is it installed? A file of your own is found with PY"),
        (Architecture("torch:no_such"), "torch has no no_such; correct it in the card."),
        (Architecture("torch:zeroes"), "torch has no zeroes; did you mean torch:zeros?"),
        (Architecture("torch:float32"), "is not a function"),
    ],
)
def test_function_that_gives_no_network_is_one_line(architecture: Architecture, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_network(architecture, 3)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"name": "timm:a", "pretrained": True}, "has pretrained; leave it out"),
        ({"name": "timm:a", "pretrained": False}, "has pretrained; leave it out"),
        ({"name": "torchvision:a", "weights": "DEFAULT"}, "has weights; leave it out"),
        ({"name": "torchvision:a", "weights_backbone": "DEFAULT"}, "has weights_backbone"),
        ({"name": "timm:a", "checkpoint_path": "/x"}, "has checkpoint_path"),
        ({"name": "timm:a", "pretrained_cfg": {"url": "x"}}, "has pretrained_cfg"),
        ({"name": "transformers:a", "trust_remote_code": True}, "has trust_remote_code"),
        ({"name": "timm:a", "num_classes": 9}, "num_classes 9 and the card has 3 classes"),
        ({"img_size": 96}, "give a name, or architecture: {name: "),
        (["timm:a"], "give a name, or architecture: {name: "),
        ("hf-hub:timm/resnet18", "is not a name"),
        ("timm:https://host/a", "is not a name"),
        ("a b", "is not a name"),
    ],
)
def test_card_with_an_architecture_that_is_not_taken_is_refused(
    tmp_path: Path, value: Any, said: str
) -> None:
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({**CARD, "architecture": value}))
    with pytest.raises(ConfigError) as caught:
        read_card(tmp_path / "a.yaml")
    assert said in str(caught.value)


def test_card_s_mapping_reaches_the_child_as_it_was_given(tmp_path: Path) -> None:
    value = {"name": "timm:vit_tiny_patch16_224", "img_size": [96, 96], "num_classes": 3}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({**CARD, "architecture": value}))
    card = read_card(tmp_path / "a.yaml")
    expected = Architecture("timm:vit_tiny_patch16_224", {"img_size": [96, 96]})
    assert card.architecture == expected
    assert str(card.architecture) == "timm:vit_tiny_patch16_224(img_size=[96, 96])"
    request = ChildRequest("a", "0", card.architecture, 3, trusted=False, limits=Limits())
    images = torch.zeros(1, 32, 32, 3, dtype=torch.uint8).numpy()
    write_request(tmp_path, request, normalise(images, card.input))
    assert read_request(tmp_path)[0] == request


def test_card_s_plain_name_is_read_as_before() -> None:
    assert parse_architecture("efficientnet_lite0", 8) == Architecture("efficientnet_lite0")
    assert parse_architecture(None, 8) is None


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def make(k:\n", "SyntaxError: '(' was never closed"),
        ("raise SystemExit(5)\n", "SystemExit: 5"),
    ],
    ids=["syntax", "exit"],
)
def test_module_that_cannot_be_imported_is_named_and_not_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    (tmp_path / "own_broken.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(f"importing own_broken ended with {said}")):
        build_network(Architecture("own_broken:make"), 3)
