"""Cards, images, weights and converters with a mistake: `edge-convert` names it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
import yaml

from converters.cli import main
from converters.export.torch_to_onnx import source_to_onnx
from converters.search.task import build
from tests.faults.sabotage.lab import flip, only_error, scale
from tests.support.networks.discs import CLASSES, INPUT, DiscNetwork, draw_disc


@dataclass(frozen=True)
class Lab:
    """A folder with a trained model.pt, its card, and image folders shared by all tests."""

    folder: Path
    images: Path

    def edit_card(self, **changes: Any) -> None:
        card = yaml.safe_load((self.folder / "model.yaml").read_text())
        (self.folder / "model.yaml").write_text(yaml.safe_dump(card | changes))

    def edit_input(self, **changes: Any) -> None:
        self.edit_card(input=INPUT | changes)

    def edit_weights(self, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
        state = torch.load(self.folder / "model.pt", weights_only=True)
        edit(state)
        torch.save(state, self.folder / "model.pt")

    def own_images(self, kind: str) -> Path:
        """A copy of a set of images that the test may change."""
        shutil.copytree(self.images / kind, self.folder / kind)
        self.edit_card(**{kind: kind})
        return self.folder / kind


@pytest.fixture
def lab(origin: Path, tmp_path: Path) -> Lab:
    for name in ("model.pt", "model.yaml"):
        shutil.copy(origin / name, tmp_path)
    return Lab(tmp_path, origin)


def conversion(lab: Lab, model: str = "model.pt") -> int:
    out = str(lab.folder / "new.edge")
    card = str(lab.folder / "model.yaml")
    arguments = [str(lab.folder / model), "--int8", "--strict", "--no-cache"]
    code = main([*arguments, "--card", card, "--out", out])
    assert code == 0 or not (lab.folder / "new.edge").exists()
    return code


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"channels": "bgr"}, "channels: rgb", id="bgr_for_rgb"),
        pytest.param(
            {"mean": [0.0] * 3, "std": [1.0] * 3}, "std [0.229, 0.224, 0.225]", id="no_mean_no_std"
        ),
        pytest.param(
            {"mean": [0.5] * 3, "std": [0.5] * 3},
            "std [0.229, 0.224, 0.225]",
            id="mean_and_std_half",
        ),
        pytest.param({"resize": "nearest"}, "resize: area", id="resize_nearest_for_area"),
        pytest.param({"resize": "linear"}, "resize: area", id="resize_linear_for_area"),
        pytest.param({"crop": 0.65}, "crop: 1.0", id="cropped_though_trained_whole"),
    ],
)
def test_convert_with_card_that_contradicts_the_training_names_the_entry(
    lab: Lab, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    lab.edit_input(**changes)
    assert conversion(lab) == 2
    assert said in only_error(capsys)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        pytest.param((0, 1, 2, 4, 3, 5, 6), "dark is pale", id="two_classes_swapped"),
        pytest.param((1, 2, 3, 4, 5, 6, 0), "middle is small", id="classes_rotated"),
        pytest.param((4, 5, 2, 1, 3, 6, 0), "dark is small", id="classes_sorted"),
    ],
)
def test_convert_with_shuffled_classes_says_which_is_which(
    lab: Lab, capsys: pytest.CaptureFixture[str], order: tuple[int, ...], said: str
) -> None:
    lab.edit_card(classes=[CLASSES[i] for i in order])
    assert conversion(lab) == 2
    line = only_error(capsys)
    assert "another order of classes" in line
    assert said in line


def test_convert_with_two_validation_folders_swapped_suspects_the_folders_too(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = lab.own_images("validation")
    (folder / "small").rename(folder / "aside")
    (folder / "large").rename(folder / "small")
    (folder / "aside").rename(folder / "large")
    assert conversion(lab) == 2
    line = only_error(capsys)
    assert "small is large" in line
    assert "validation folders" in line


@pytest.mark.parametrize(
    ("classes", "code", "said"),
    [
        pytest.param((*CLASSES, "eighth"), 3, "with 8 classes", id="one_class_too_many"),
        pytest.param(CLASSES[:6], 2, "'rough' that is no class", id="one_class_too_few"),
        pytest.param((*CLASSES[:6], "coarse"), 2, "'rough' that is no class", id="class_renamed"),
    ],
)
def test_convert_with_classes_that_do_not_fit_says_so(
    lab: Lab,
    capsys: pytest.CaptureFixture[str],
    classes: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    lab.edit_card(classes=list(classes))
    assert conversion(lab) == code
    assert said in only_error(capsys)


def test_convert_with_images_of_another_task_does_not_recognise_them(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = lab.own_images("validation")
    rng = np.random.default_rng(1)
    for path in folder.rglob("*.png"):
        path.write_bytes(cv2.imencode(".png", rng.integers(0, 255, (96, 96, 3)))[1].tobytes())
    assert conversion(lab) == 3
    assert "every validation image" in only_error(capsys)


def test_convert_with_drawn_cells_of_other_classes_says_so(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.edit_card(validation="drawn")
    assert conversion(lab) == 2
    assert "no class of the model card" in only_error(capsys)


def untrain(state: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(1)
    state.update(DiscNetwork(len(CLASSES)).state_dict())


def make_constant(state: dict[str, torch.Tensor]) -> None:
    state["8.weight"].zero_()


def put_nan(state: dict[str, torch.Tensor]) -> None:
    state["4.weight"][0] = math.nan


def shuffle_a_layer(state: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(2)
    state["4.weight"] = state["4.weight"][torch.randperm(24)]


@pytest.mark.parametrize(
    ("sabotage", "said"),
    [
        pytest.param(untrain, "untrained", id="untrained_weights"),
        pytest.param(make_constant, "every validation image the label", id="constant_model"),
        pytest.param(put_nan, "NaN", id="nan_weight"),
        pytest.param(shuffle_a_layer, "does not recognise", id="layer_shuffled"),
    ],
)
def test_convert_with_broken_weights_says_what_the_model_does(
    lab: Lab,
    capsys: pytest.CaptureFixture[str],
    sabotage: Callable[[dict[str, torch.Tensor]], None],
    said: str,
) -> None:
    lab.edit_weights(sabotage)
    assert conversion(lab) == 3
    assert said in only_error(capsys)


def test_convert_with_flipped_byte_in_the_weights_file_says_damaged(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lab.folder / "model.pt"
    stored = torch.load(path, weights_only=True)["4.weight"].numpy().tobytes()[:64]
    flip(path, path.read_bytes().index(stored) + 3)
    assert conversion(lab) == 3
    assert "damaged" in only_error(capsys)


def test_convert_onnx_of_another_input_size_names_both(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    core = onnx.utils.Extractor(
        onnx.load(lab.images / "discs.edge" / "model.fp32.onnx")
    ).extract_model(["normalised"], ["logits"])
    onnx.save(core, lab.folder / "model.onnx")
    lab.edit_input(height=64)
    assert conversion(lab, "model.onnx") == 3
    line = only_error(capsys)
    assert "input.height" in line
    assert "64, 32" in line


def test_convert_with_exporter_that_corrupts_a_weight_says_the_export_differs(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def corrupt(*arguments: Any) -> onnx.ModelProto:
        model = source_to_onnx(*arguments)
        scale(model, "4.weight", 1.1)
        return model

    monkeypatch.setattr("converters.convert.source_to_onnx", corrupt)
    assert conversion(lab) == 3
    assert "exported model differs" in only_error(capsys)


def test_convert_with_quantizer_that_gets_a_scale_wrong_is_refused_by_the_gate(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def misscale(*arguments: Any, **options: Any) -> Any:
        int8 = build(*arguments, **options)
        scale(int8.model, "_weight_scale", 2.0)
        return int8

    # After the correction, which makes up for much that a quantizer does wrong.
    monkeypatch.setattr("converters.search.probing.build", misscale)
    assert conversion(lab) == 4
    assert "INT8" in only_error(capsys)


def test_convert_calibrated_on_blank_images_is_refused_by_the_gate(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in lab.own_images("calibration").iterdir():
        blank = np.full((96, 96, 3), (104, 116, 124), np.uint8)
        path.write_bytes(cv2.imencode(".png", blank)[1].tobytes())
    assert conversion(lab) == 4
    assert "INT8" in only_error(capsys)


def test_convert_calibrated_on_one_class_is_refused_by_the_gate(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = lab.own_images("calibration")
    for path in folder.iterdir():
        path.unlink()
    for number in range(48):
        image = cv2.cvtColor(draw_disc("pale", number), cv2.COLOR_RGB2BGR)
        (folder / f"{number}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    assert conversion(lab) == 4
    assert "INT8" in only_error(capsys)
