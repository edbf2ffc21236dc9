"""Tests for daemon.folder_lock: one daemon on one export, whatever its state_dir."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon import folder_lock
from daemon.cli import main
from daemon.folder_lock import LOCK_NAME, owned_folders
from daemon.roots import Root, names_regex
from edge.errors import StorageError
from tests.daemon.conftest import until


def test_owned_folders_second_daemon_on_the_results_is_told_who_and_where(tmp_path: Path) -> None:
    for name in ("one", "two", "results"):
        (tmp_path / name).mkdir()
    who = re.escape(f"process {os.getpid()} on {socket.gethostname()} since ")
    with (
        owned_folders([tmp_path / "one"], [tmp_path / "results"]),
        pytest.raises(StorageError, match=who),
        owned_folders([tmp_path / "two"], [tmp_path / "results"]),
    ):
        pass
    assert (tmp_path / "results" / LOCK_NAME).read_bytes() == b""
    with owned_folders([tmp_path / "two"], [tmp_path / "results"]):
        pass


def test_owned_folders_second_daemon_with_other_results_is_refused(tmp_path: Path) -> None:
    for name in ("export", "one", "two"):
        (tmp_path / name).mkdir()
    with (
        owned_folders([tmp_path / "export"], [tmp_path / "one"]),
        pytest.raises(StorageError, match=f"export is in use by process {os.getpid()}"),
        owned_folders([tmp_path / "export"], [tmp_path / "two"]),
    ):
        pass
    assert list((tmp_path / "export").iterdir()) == []


def test_owned_folders_that_are_away_are_not_held_and_not_made(tmp_path: Path) -> None:
    with owned_folders([tmp_path / "export"], [tmp_path / "away" / "results"]):
        assert list(tmp_path.iterdir()) == []


class SlowShare:
    """A share whose lock of one folder comes when it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, parent: Path, slow: str) -> None:
        self.export, self.results = parent / "export", parent / "results"
        self.export.mkdir()
        self.results.mkdir()
        self.folder = parent / slow
        self.locked_path = {"export": self.export, "results": self.results / LOCK_NAME}[slow]
        self.answers = threading.Event()
        self.locked = threading.Event()
        monkeypatch.setattr(folder_lock, "ANSWER_S", 0.05)
        for name in ("_lock_folder", "_lock_tree"):
            monkeypatch.setattr(folder_lock, name, self.slowly(getattr(folder_lock, name)))

    def slowly(self, lock: Callable[[Path], int]) -> Callable[[Path], int]:
        def call(folder: Path) -> int:
            if folder != self.folder:
                return lock(folder)
            assert self.answers.wait(60)
            descriptor = lock(folder)
            self.locked.set()
            return descriptor

        return call

    def answer(self) -> None:
        self.answers.set()
        # No look at the lock before: it would be in the way of the one that is awaited.
        assert self.locked.wait(60)


def is_held(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@pytest.mark.parametrize("slow", ["export", "results"])
def test_owned_folder_that_answers_late_is_held_from_then_on_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    share = SlowShare(monkeypatch, tmp_path, slow)
    with owned_folders([share.export], [share.results]):
        share.answer()
        assert is_held(share.locked_path)
    assert not is_held(share.locked_path)
    monkeypatch.setattr(folder_lock, "ANSWER_S", 60.0)
    with owned_folders([share.export], [share.results]):
        assert is_held(share.locked_path)


@pytest.mark.parametrize("slow", ["export", "results"])
def test_owned_folder_that_answers_after_the_end_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    share = SlowShare(monkeypatch, tmp_path, slow)
    with owned_folders([share.export], [share.results]):
        pass
    share.answer()
    until(lambda: not is_held(share.locked_path))
    monkeypatch.setattr(folder_lock, "ANSWER_S", 60.0)
    with owned_folders([share.export], [share.results]):
        pass


def test_lock_file_is_no_image(tmp_path: Path) -> None:
    root = Root(1, tmp_path, tmp_path, names_regex(("*",)))
    assert not root.has_image(LOCK_NAME.encode())


@pytest.mark.parametrize("command", ["run", "once"])
def test_second_daemon_with_another_state_dir_ends_with_6_and_the_first_goes_on(
    site: Any, colour_jpeg: Any, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with site.running():
        other = site.folder / "other"
        other.mkdir()
        settings = {**site.settings, "state_dir": str(other / "state")}
        settings["watch"] = [{"folder": str(site.export)}]
        settings["results"] = {"folder": str(other)}
        (other / "edge.yaml").write_text(json.dumps(settings))
        assert main([command, "--config", str(other / "edge.yaml")]) == 6
        assert f"in use by process {os.getpid()}" in capsys.readouterr().err
        site.add("S1/L1/a.jpg", colour_jpeg("red"))
        until(lambda: site.outcomes().get("S1/L1/a.jpg", ("",))[0] == "done")
    assert site.sidecar("S1/L1/a.jpg")["label"] == "red"
    assert not list(other.rglob("*.json"))
    shutil.rmtree(other)
