"""The demonstration as a person runs it, with few images and the real commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import converters.reference
from edge.demo.cli import main

MODEL = Path(converters.reference.__file__).parent / "cells8.pt"


def test_demo_labels_drawn_cells_and_says_where_the_sidecars_lie(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if not Path(sys.executable).with_name("edge-daemon").is_file():
        pytest.skip("the commands are not installed beside this Python")
    assert main(["--model", str(MODEL), "--out", str(tmp_path), "--count", "16"]) == 0
    said = capfd.readouterr().out
    assert "of 16 drawn cells got the class that was drawn" in said
    (workspace,) = tmp_path.iterdir()
    images = sorted((workspace / "export").rglob("*.jpg"))
    assert len(images) == 16
    for image in images:
        sidecar = json.loads(image.with_name(f"{image.name}.json").read_text())
        assert sidecar["status"] in {"labelled", "unidentified"}
        assert image.with_name(f"{image.name}.csv").is_file()
    assert str(workspace / "export") in said


def test_demo_of_missing_folder_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", str(MODEL), "--images", str(tmp_path / "absent")]
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_demo_of_folder_without_images_says_so(
    tmp_path: Path, colour_jpeg: Callable[..., bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_bytes(colour_jpeg())
    arguments = ["--model", str(MODEL), "--images", str(empty), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "holds no JPEG or PNG" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
