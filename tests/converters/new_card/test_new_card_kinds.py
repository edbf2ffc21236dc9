"""edge-convert --new-card on files that are no plain state dict: what it recommends must work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from converters.cli import main
from tests.support.networks.tiny_network import TinyNetwork


def refused(model: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """The one line of a card that is not written."""
    before = sorted(model.parent.iterdir())
    assert main(["--new-card", str(model), *more]) in (2, 3, 6)
    lines = [n for n in capsys.readouterr().err.splitlines() if not n.startswith("reading ")]
    assert len(lines) == 1
    assert sorted(model.parent.iterdir()) == before
    return lines[0]


def fill_in(card: Path, values: dict[str, str]) -> None:
    text = card.read_text()
    for key, value in values.items():
        text = re.sub(rf"(?m)^( *){key}: FILL IN", rf"\g<1>{key}: {value}", text)
    for name in ("red", "green", "blue"):
        text = text.replace("  - FILL IN", f"  - {name}", 1)
    card.write_text(text.replace("# calibration: images/", "calibration: "))


def test_command_that_a_pickled_module_s_card_recommends_converts_it(
    model_folder: Path, tiny_network: TinyNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    model = model_folder / "whole model.pt"
    torch.save(tiny_network, model)
    assert main(["--new-card", str(model)]) == 0
    said = capsys.readouterr().out
    assert "if you know who made the file and let its code run" in said
    program, *words = shlex.split(said.splitlines()[-2])
    assert program == "edge-convert"
    card = model.with_suffix(".yaml")
    assert "A pickled module" in card.read_text()
    size = {"height": "32", "width": "32", "resize": "area"}
    norm = {"mean": "[0.485, 0.456, 0.406]", "std": "[0.229, 0.224, 0.225]"}
    # The file does not say how many classes there are.
    card.write_text(card.read_text().replace("  - FILL IN\n", "  - FILL IN\n  - FILL IN\n", 1))
    fill_in(card, {"version": '"1"', **size, **norm})
    words.remove("--int8")
    folders = {"IMAGES": "calibration", "LABELLED": "validation"}
    words = [str(model_folder / folders[word]) if word in folders else word for word in words]
    words += ["--out", str(model_folder / "out.edge")]
    assert main(words) == 0, capsys.readouterr().err


def test_new_card_of_what_holds_no_network_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content, said in (
        (list(nn.Linear(2, 3).parameters()), "holds a list of 2 (Tensor), without a state dict"),
        ({"epoch": 3}, "is a dictionary of epoch; no tensors under names"),
        (torch.zeros(2), "holds Tensor, not a state dict"),
    ):
        torch.save(content, tmp_path / "m.pt")
        assert said in refused(tmp_path / "m.pt", capsys)


@pytest.mark.filterwarnings("ignore")  # torch deprecates its own quantized tensors
def test_new_card_of_quantized_tensors_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quantized = torch.quantize_per_tensor(torch.zeros(3, 2), 0.1, 0, torch.qint8)
    torch.save({"fc.weight": quantized, "fc.bias": torch.zeros(3)}, tmp_path / "m.pt")
    assert "m.pt is quantized already (it has torch." in refused(tmp_path / "m.pt", capsys)


def test_new_card_of_a_bundle_or_a_folder_without_a_model_says_what_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert "a folder without model.safetensors or" in refused(tmp_path / "empty", capsys)
    (tmp_path / "a.edge").mkdir()
    (tmp_path / "a.edge" / "manifest.json").touch()
    assert "is a bundle, which contains its card" in refused(tmp_path / "a.edge", capsys)


def test_new_card_into_a_folder_that_is_not_there_says_so(
    tmp_path: Path, tiny_network: TinyNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(tiny_network.state_dict(), tmp_path / "m.pt")
    line = refused(tmp_path / "m.pt", capsys, "--card", str(tmp_path / "none" / "m.yaml"))
    assert "none" in line


@pytest.mark.parametrize("names", [["fc.weight", "layer4.weight"], ["layer4.weight", "fc.weight"]])
def test_number_of_classes_is_the_head_s_in_any_order(tmp_path: Path, names: list[str]) -> None:
    sizes: dict[str, Any] = {"fc.weight": (5, 2), "layer4.weight": (9, 2, 3, 3)}
    torch.save({name: torch.zeros(sizes[name]) for name in names}, tmp_path / "m.pt")
    assert main(["--new-card", str(tmp_path / "m.pt")]) == 0
    assert "5: a guess: the size of fc.weight" in (tmp_path / "m.yaml").read_text()
