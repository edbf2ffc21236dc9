"""Images of the small bundle's classes, and the libraries of contenders."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge.bundle import Bundle, load_bundle
from tests.support.environments import environment
from tests.support.images import COLOURS, Jpeg

PACKAGES = ("openvino==2026.4.1", "pillow==13.0.0")


@pytest.fixture
def bundle(small_bundle: Path) -> Bundle:
    return load_bundle(small_bundle)


@pytest.fixture
def images(tmp_path: Path, colour_jpeg: Jpeg) -> list[Path]:
    """Two images of each colour."""
    folder = tmp_path / "cells"
    folder.mkdir()
    paths = []
    for seed in (1, 2):
        for name in COLOURS:
            path = folder / f"{name}-{seed}.jpg"
            path.write_bytes(colour_jpeg(name, seed=seed))
            paths.append(path)
    return paths


@pytest.fixture
def _libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO and Pillow, for the test that asks for them; the environment's own come first."""
    found = environment(PACKAGES) / "venv/lib"
    (packages,) = found.glob("python*/site-packages")
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
