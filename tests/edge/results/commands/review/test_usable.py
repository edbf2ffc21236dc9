"""What would stop a signature is said before a person begins."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from edge.results.cli import main
from tests.support.review_site import ReviewSite, mixed_cells


@pytest.fixture
def site(tmp_path: Path) -> ReviewSite:
    site = ReviewSite(tmp_path)
    site.add_slide("S1", mixed_cells({"neutrophil": 2}))
    return site


def forbid(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As the system answers another user; tests may run as root, who may write everywhere."""
    real = os.access

    def access(path: Any, mode: int, **more: Any) -> bool:
        return Path(path) != folder and real(path, mode, **more)

    monkeypatch.setattr(os, "access", access)


@pytest.mark.parametrize("which", ["state", "verifications"])
def test_folder_that_cannot_be_written_is_refused_before_the_page_starts(
    which: str,
    site: ReviewSite,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder: Path = getattr(site, which)
    folder.mkdir(parents=True, exist_ok=True)
    forbid(monkeypatch, folder)
    assert main(["review", "--config", str(site.config_file), "--no-browser"]) == 6
    said = capsys.readouterr().err
    assert said.startswith(f"error: {folder} cannot be written by this user")
    assert said.count("\n") == 1


def test_folder_that_is_made_needs_a_parent_that_can_be_written(
    site: ReviewSite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = site.folder / "private"
    parent.mkdir()
    forbid(monkeypatch, parent)
    state = str(parent / "a" / "b")
    assert main(["review", str(site.export), "--state", state, "--no-browser"]) == 6
    assert f"error: {state} cannot be written by this user" in capsys.readouterr().err


def test_path_that_is_not_there_is_refused(
    site: ReviewSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "exprot")
    assert main(["review", path, "--state", str(site.state), "--no-browser"]) == 2
    assert f"{path} does not exist" in capsys.readouterr().err


def test_bundle_that_is_not_there_is_refused(
    site: ReviewSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--state", str(site.state), "--bundle", str(tmp_path / "no.edge"), "--no-browser"]
    assert main(["review", str(site.export), *options]) != 0
    assert "no.edge is not there" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["review", "audit", "show"])
def test_state_folder_of_another_user_is_told_in_one_line(
    command: str,
    site: ReviewSite,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = Path.stat

    def stat(path: Path, **more: Any) -> os.stat_result:
        if path.parent == site.state:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, **more)

    monkeypatch.setattr(Path, "stat", stat)
    assert main([command, "--config", str(site.config_file)]) == 6
    said = capsys.readouterr().err
    assert said.startswith(f"error: {site.state} cannot be looked into (Permission denied)")
