"""A converter that is given hostile model files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml

from tests.faults.hostile.model_lab import Laboratory
from tests.support.images import Jpeg
from tests.support.networks.tiny_network import CARD, CLASSES, TinyNetwork, train_tiny_network


@pytest.fixture(scope="session")
def network() -> TinyNetwork:
    return train_tiny_network()


@pytest.fixture
def lab(
    tmp_path: Path,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Laboratory:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**CARD, "validation": "validation"}))
    for number in range(30):
        path = tmp_path / "validation" / CLASSES[number % 3] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(colour_jpeg(CLASSES[number % 3], seed=number))
    return Laboratory(tmp_path, tmp_path / "executed", capsys)
