"""The command that trains: what it refuses, and that a seed decides the weights."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

from converters.architectures.efficientnet_lite0 import EfficientNetLite0
from converters.reference.cli import main
from converters.reference.data.pbc import CLASSES
from converters.reference.training.train import SECOND_STAGE, TrainingPlan

CARD = Path(__file__).parents[3] / "converters" / "reference" / "cells8.yaml"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A manifest of two small images of each class for training, and one for validation."""
    folder = tmp_path / "data"
    rows = [("file", "split", "class", "kind")]
    rng = np.random.default_rng(4)
    for cell_class in CLASSES:
        for split, name in (("train", "1"), ("train", "2"), ("val", "3")):
            file = f"{split}/{cell_class}/{name}.png"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 255, (48, 48, 3)).astype(np.uint8)
            (folder / file).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
            rows.append((file, split, cell_class, "native"))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps an epoch, no smoothing, start weights that need no package."""
    plan = partial(TrainingPlan, batch_size=4, images_per_epoch=8)
    module = "converters.reference.training"
    second = replace(SECOND_STAGE, batch_size=4, images_per_epoch=8)
    monkeypatch.setattr(f"{module}.train.SECOND_STAGE", second)
    monkeypatch.setattr(f"{module}.train.TrainingPlan", plan)
    monkeypatch.setattr(f"{module}.samples.SMOOTHED_PER_CLASS", 0)
    monkeypatch.setattr(f"{module}.samples.DRAWN_PER_CLASS", 1)
    monkeypatch.setattr(f"{module}.command._DRAWN_VALIDATION_CELLS", 1)
    monkeypatch.setattr(f"{module}.command._imagenet_weights", _start_weights)


def _start_weights() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    state = EfficientNetLite0(2).state_dict()
    return {
        name: torch.from_numpy(rng.normal(0, 0.05, tuple(v.shape)).astype(np.float32)).abs()
        if v.dtype.is_floating_point
        else v
        for name, v in state.items()
        if not name.startswith("classifier.")
    }


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """The reference model's card with a small input."""
    fields = yaml.safe_load(CARD.read_text("utf-8"))
    fields["input"] |= {"height": 32, "width": 32}
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path


def trained(data: Path, card: Path, out: Path, seed: str, *more: str) -> dict[str, torch.Tensor]:
    flags = ["--data", str(data), "--card", str(card), "--out", str(out), "--seed", seed]
    assert main(["train", *flags, "--epochs", "1", "--workers", "0", *more]) == 0
    state: dict[str, torch.Tensor] = torch.load(out, weights_only=True)
    return state


def test_train_from_one_seed_gives_equal_weights_and_keeps_the_log(
    data: Path, card: Path, tmp_path: Path
) -> None:
    first, again, other = (
        trained(data, card, tmp_path / f"{number}.pt", seed)
        for number, seed in enumerate(("5", "5", "6"))
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])
    log = (tmp_path / "0.log").read_text()
    assert "epoch 1:" in log
    assert "temperature" in log


def test_train_from_a_start_continues_with_its_weights_and_foreign_images(
    data: Path, card: Path, tmp_path: Path
) -> None:
    first = trained(data, card, tmp_path / "first.pt", "5")
    start = ["--start", str(tmp_path / "first.pt")]
    second = trained(data, card, tmp_path / "second.pt", "5", *start)
    other = trained(data, card, tmp_path / "other.pt", "6")

    def distance(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
        # The classifier is divided by a temperature at the end, so its first layers are compared.
        return max(float((a[n] - b[n]).abs().max()) for n in a if n.startswith("stem.0"))

    assert 0 < distance(first, second) < distance(other, second)
    log = (tmp_path / "second.log").read_text()
    assert "foreign_share=0.5" in log
    assert "foreign_share=0.0" in (tmp_path / "first.log").read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--epochs", "0"], "--epochs is 0; give 1 to"),
        (["--workers", "-1"], "--workers is -1; give 0 to"),
        (["--seed", "-1"], "--seed is -1"),
        (["--device", "nonsense"], "--device nonsense cannot be used"),
        (["--card", "nope.yaml"], "nope.yaml cannot be read"),
        (["--data", "nope"], "nope has no manifest.csv"),
        (["--start", "nope.pt"], "nope.pt is no state dict of this network"),
        (["--start", str(CARD)], "cells8.yaml is no state dict of this network"),
        (["--out", "/nowhere/a.pt"], "--out: /nowhere/a.pt cannot be written"),
    ],
)
def test_train_refuses_wrong_arguments_at_once_and_leaves_the_last_log(
    data: Path,
    card: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    said: str,
) -> None:
    (tmp_path / "a.log").write_text("the last run")
    usual = ["--data", str(data), "--card", str(card), "--out", str(tmp_path / "a.pt")]
    assert main(["train", *usual, *flags]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert said in line
    assert (tmp_path / "a.log").read_text() == "the last run"
    assert not (tmp_path / "a.pt").exists()


def test_train_names_an_image_that_cannot_be_read(
    data: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "train" / "ig" / "1.png").write_bytes(b"no image")
    usual = ["--data", str(data), "--card", str(card), "--out", str(tmp_path / "a.pt")]
    assert main(["train", *usual, "--epochs", "1", "--workers", "0"]) == 2
    assert "train/ig/1.png cannot be used" in capsys.readouterr().err
