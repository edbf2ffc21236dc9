"""Tests for sending without anyone who reads the lines."""

from __future__ import annotations

import json
import os
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from edge.results.cli import main
from tests.support.mllp_server import mllp_server
from tests.support.sidecar_tree import export


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Three slides for a folder, and for a receiver that is away."""
    for name in ("S1", "S2", "S3"):
        export(tmp_path / "export", f"{name}/1.jpg", sample_id=name)
    (tmp_path / "lis").mkdir()
    with mllp_server() as server:
        port = server.port
    folder = {"name": "folder", "format": "json", "drop": "lis"}
    receiver = {"name": "receiver", "format": "hl7-oru", "mllp": f"127.0.0.1:{port}"}
    states = {"states": ["preliminary", "final", "corrected"]}
    settings = {
        "state_dir": "state",
        "sidecars": {"folder": "export"},
        "slides": {"quiet_s": 0},
        "targets": [folder | states, receiver | states],
    }
    (tmp_path / "results.yaml").write_text(json.dumps(settings))
    return ["send", "--once", "--config", str(tmp_path / "results.yaml")]


def test_reader_that_has_gone_stops_no_result_and_hides_no_exit_code(
    words: list[str], tmp_path: Path
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone, redirect_stdout(gone):
        assert main(words) == 1
    assert len(list((tmp_path / "lis").iterdir())) == 3


def test_full_disk_of_the_lines_stops_no_result_and_is_told_at_the_end(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full, redirect_stdout(full):
        assert main(words) == 6
    assert "standard output cannot be written (No space left" in capsys.readouterr().err
    assert len(list((tmp_path / "lis").iterdir())) == 3
