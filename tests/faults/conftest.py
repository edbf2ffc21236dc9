"""A laboratory whose hints can be broken."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import service
from edge import failpoints
from tests.support.lab import Lab
from tests.support.site import Site


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def site(tmp_path: Path, small_bundle: Path) -> Site:
    (tmp_path / "export").mkdir()
    (tmp_path / "results").mkdir()
    settings = {
        "bundle": str(small_bundle),
        "backend": "onnxruntime",
        "precision": "int8",
        "watch": [{"folder": "export"}],
        "results": {"folder": "results"},
        "settle_s": 0.1,
        "rescan_s": 0.5,
        "poll": "never",  # the export is a folder of this machine, whatever its file system
        "state_dir": "state",
        "retry": {"attempts": 3, "first_delay_s": 0.02, "max_delay_s": 0.05},
    }
    return Site(tmp_path, settings)


@pytest.fixture
def _short_waits(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    # A worker looks for images whose time has come every half second otherwise.
    monkeypatch.setattr(service, "_IDLE_S", 0.02)
    with caplog.at_level(logging.INFO, "daemon"):
        yield
    failpoints.arm_failpoints({})
