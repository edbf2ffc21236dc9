"""Tests for `edge-convert`: model files, cards and images that it refuses, and what it says."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.converters.conversions import convert, edit_card, refused


def test_convert_twice_is_refused_without_overwrite_and_keeps_the_bundle(
    converted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = (converted / "manifest.json").read_bytes()
    assert refused(converted.parent, capsys).startswith("2 ")
    assert (converted / "manifest.json").read_bytes() == kept
    assert convert(converted.parent, "--overwrite") == 0
    assert (converted / "manifest.json").read_bytes() != kept


def test_convert_without_card_names_the_flag(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model_folder / "tiny.yaml").unlink()
    said = refused(model_folder, capsys)
    assert said.startswith("2 ")
    assert "tiny.yaml" in said
    assert "--card" in said


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"classes": None}, 2, "has no classes"),
        ({"clases": ["a"]}, 2, "Did you mean classes"),
        ({"classes": ["red", "green", "blue", "grey"]}, 3, "4 classes"),
        ({"architecture": None}, 2, "architecture"),
        ({"architecture": "resnet18"}, 2, "package.module:function"),
        ({"architecture": "absent.module:build"}, 2, "Is it installed"),
        ({"calibration": None}, 2, "--calibration"),
        ({"validation": None}, 2, "--validation"),
        ({"calibration": "nowhere"}, 2, "no folder"),
        ({"name": "../up"}, 2, "name is"),
        ({"unidentified_below": 50}, 2, "unidentified_below"),
    ],
)
def test_convert_with_wrong_card_says_what_is_wrong(
    model_folder: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    code: int,
    said: str,
) -> None:
    edit_card(model_folder, **changes)
    line = refused(model_folder, capsys, "--int8")
    assert line.startswith(f"{code} ")
    assert said in line


def test_convert_with_unreadable_calibration_image_names_it(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = model_folder / "calibration" / "7.jpg"
    path.write_bytes(path.read_bytes()[:-40])
    said = refused(model_folder, capsys, "--int8")
    assert said.startswith("2 ")
    assert "7.jpg cannot be used" in said


def test_convert_refuses_a_reference_that_is_none_before_it_opens_the_model(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model_folder / "tiny.pt").write_bytes(b"no model")
    few = model_folder / "calibration"
    for folder, said in ((model_folder / "absent", "no folder"), (few, "100 of the laboratory")):
        line = refused(model_folder, capsys, "--reference", str(folder))
        assert line.startswith("2 ")
        assert said in line


def test_convert_with_too_few_calibration_images_says_how_many_are_needed(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted((model_folder / "calibration").iterdir())[5:]:
        path.unlink()
    # Before the model is opened, which may take minutes.
    (model_folder / "tiny.pt").write_bytes(b"no model")
    assert "holds 5 calibration images, 32 are needed" in refused(model_folder, capsys, "--int8")
    said = refused(model_folder, capsys, "--int8", "--calibration-images", "5")
    assert "--calibration-images is 5; give 32 or more" in said


def test_convert_with_folder_that_is_no_class_names_it(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model_folder / "validation" / "red").rename(model_folder / "validation" / "rot")
    assert "'rot' that is no class" in refused(model_folder, capsys, "--int8")


class RunsCode:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def test_convert_pickled_module_is_refused_and_never_run(
    model_folder: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path_factory.mktemp("outside") / "executed"
    torch.save(RunsCode(marker), model_folder / "tiny.pt")
    said = refused(model_folder, capsys)
    assert said.startswith("3 ")
    assert "run its own code" in said
    assert "mkdir" in said
    assert not marker.exists()


def test_convert_plain_pickle_is_refused_and_never_run(
    model_folder: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path_factory.mktemp("outside") / "executed"
    (model_folder / "tiny.pt").write_bytes(pickle.dumps(RunsCode(marker), protocol=2))
    assert refused(model_folder, capsys).startswith("3 ")
    assert not marker.exists()


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_convert_truncated_model_says_so(
    model_folder: Path, capsys: pytest.CaptureFixture[str], kept: float
) -> None:
    path = model_folder / "tiny.pt"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert refused(model_folder, capsys).startswith("3 ")


def test_convert_truncated_onnx_says_so(
    model_folder: Path, exported_onnx: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (model_folder / "tiny.onnx").write_bytes(exported_onnx[:-100])
    assert refused(model_folder, capsys, model="tiny.onnx").startswith("3 ")


def test_convert_image_in_place_of_a_model_says_what_it_found(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model_folder / "tiny.pt").write_bytes((model_folder / "calibration" / "1.jpg").read_bytes())
    assert "tiny.pt is an image. Give the model's file." in refused(model_folder, capsys)


def test_convert_onnx_of_other_input_size_names_both(
    model_folder: Path, exported_onnx: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    card = yaml.safe_load((model_folder / "tiny.yaml").read_text())
    edit_card(model_folder, input={**card["input"], "height": 64})
    (model_folder / "tiny.onnx").write_bytes(exported_onnx)
    said = refused(model_folder, capsys, model="tiny.onnx")
    assert "[1, 3, 32, 32]" in said
    assert "[batch, 3, 64, 32]" in said
