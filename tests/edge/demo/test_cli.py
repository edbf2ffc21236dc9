"""What the demonstration refuses; tests/converters/reference runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

import converters.reference
from edge.demo.cli import main
from tests.support.images import Jpeg

MODEL = Path(converters.reference.__file__).parent / "cells8.pt"


def test_demo_of_missing_folder_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", str(MODEL), "--images", str(tmp_path / "absent")]
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_demo_of_folder_without_images_says_so(
    tmp_path: Path, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_bytes(colour_jpeg())
    arguments = ["--model", str(MODEL), "--images", str(empty), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "holds no JPEG or PNG" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
