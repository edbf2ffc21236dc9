"""Tests for daemon.system.folder_locks: one daemon on one export, whatever its state_dir."""

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

import pytest

from daemon.cli import main
from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.system import folder_locks as folder_lock
from daemon.system.folder_locks import LOCK_NAME, owned_folders
from daemon.system.locks import InUseError
from edge.errors import StorageError
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


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
    root = WatchFolder(1, tmp_path, tmp_path, names_regex(("*",)))
    assert not root.has_image(LOCK_NAME.encode())


@pytest.mark.parametrize("command", ["run", "once"])
def test_second_daemon_with_another_state_dir_ends_with_6_and_the_first_goes_on(
    site: Site, colour_jpeg: Jpeg, command: str, capsys: pytest.CaptureFixture[str]
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


def spoil(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(path.parent.parent / "precious")
    else:
        path.hardlink_to(path.parent.parent / "precious")


WAITS = "sidecar: not a regular file"
SPOILT = ("pipe", "folder", "link", "second name")


@pytest.mark.parametrize("kind", SPOILT)
def test_owned_folders_lock_file_that_is_none_ends_the_start_and_harms_nothing(
    tmp_path: Path, kind: str
) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "results").mkdir()
    spoil(tmp_path / "results" / LOCK_NAME, kind)
    with (
        pytest.raises(
            StorageError, match=r"is not a lock file but a .*\. Remove it while no daemon"
        ),
        owned_folders([], [tmp_path / "results"]),
    ):
        pass
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("kind", SPOILT)
def test_tree_lock_that_is_replaced_while_it_is_held_stops_the_writing_until_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(folder_lock, "_LOOK_S", 0.0)
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "results").mkdir()
    path = tmp_path / "results" / LOCK_NAME
    with owned_folders([], [tmp_path / "results"]) as locks:
        path.unlink()
        spoil(path, kind)
        for _ in range(2):
            with pytest.raises(StorageError, match="is not a lock file"):
                locks.require([path])
        path.rmdir() if kind == "folder" else path.unlink()
        locks.require([path])
        assert is_held(path)
        assert path.read_text().startswith(f"process {os.getpid()} ")
    assert (tmp_path / "precious").read_text() == "precious"


def test_tree_lock_that_is_removed_while_it_is_held_is_taken_anew_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(folder_lock, "_LOOK_S", 0.0)
    path = tmp_path / LOCK_NAME
    with owned_folders([], [tmp_path]) as locks:
        locks.require([path])
        path.unlink()
        locks.require([path])
        locks.require([path])
        assert is_held(path)
    assert [record.getMessage() for record in caplog.records] == [
        f"the lock on {tmp_path} was removed or replaced; it is taken again"
    ]


def test_tree_lock_that_another_daemon_took_meanwhile_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_lock, "_LOOK_S", 0.0)
    with owned_folders([], [tmp_path]) as first:
        (tmp_path / LOCK_NAME).unlink()
        with owned_folders([], [tmp_path]):
            for _ in range(2):
                with pytest.raises(InUseError, match=f"written by process {os.getpid()} on"):
                    first.require([tmp_path / "S1"])
        first.require([tmp_path / "S1"])
        assert is_held(tmp_path / LOCK_NAME)


def test_watch_folder_locked_by_any_program_is_watched_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("export", "one", "two"):
        (tmp_path / name).mkdir()
    backup = os.open(tmp_path / "export", os.O_RDONLY)
    fcntl.flock(backup, fcntl.LOCK_SH)
    with owned_folders([tmp_path / "export"], [tmp_path / "one"]):
        line = (
            f"watch folder {tmp_path / 'export'} is locked by process {os.getpid()}, which is "
            "not an edge-daemon; labelling goes on"
        )
        assert [record.getMessage() for record in caplog.records] == [line]
        # A second daemon is turned away as ever, also when the program has let go of it.
        for _ in range(2):
            with (
                pytest.raises(InUseError, match="export is in use by"),
                owned_folders([tmp_path / "export"], [tmp_path / "two"]),
            ):
                pass
            fcntl.flock(backup, fcntl.LOCK_UN)
    os.close(backup)


def test_results_are_written_only_while_their_lock_is_held(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_lock, "_LOOK_S", 0.0)
    path = site.results / LOCK_NAME
    with site.running():
        path.unlink()
        path.mkdir()
        site.add("S1/L1/a.jpg", colour_jpeg("red"))
        until(lambda: "is not a lock file" in caplog.text)
        until(lambda: site.outcomes().get("S1/L1/a.jpg", ("",) * 4)[3] == WAITS)
        assert not site.has_sidecar("S1/L1/a.jpg")
        path.rmdir()
        until(lambda: site.outcomes()["S1/L1/a.jpg"][0] == "done")
    assert site.sidecar("S1/L1/a.jpg")["label"] == "red"
    assert caplog.text.count("is not a lock file") == 1
