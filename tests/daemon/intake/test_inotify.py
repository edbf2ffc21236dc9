"""Tests for daemon.intake.inotify: the real watchdog on real folders."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from watchdog.utils.delayed_queue import DelayedQueue

from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.intake import hints as hints_module
from daemon.intake import inotify as watch
from daemon.intake.hints import Hint, HintKind, Hints
from daemon.intake.inotify import InotifyWatch, listen_for_losses
from tests.support.waiting import until
from tests.support.watch_threads import KINDS, watch_threads


class Watched:
    """A watched folder whose hints are collected."""

    def __init__(self, folder: Path, poll: str = "never") -> None:
        self.folder = folder
        self.hints = Hints()
        self.seen: list[tuple[bytes, HintKind]] = []
        self.now_s = 0.0
        root = WatchFolder(7, folder, folder, names_regex(("*.jpg",)))
        self.watcher = InotifyWatch(root, self.hints, poll=poll, clock=lambda: self.now_s)

    def keep_watching(self) -> bool:
        self.now_s += 60.0
        return self.watcher.keep_watching()

    def has_seen(self, path: bytes, kind: HintKind) -> bool:
        for hint in self.hints.take(0.02):
            assert hint.folder_id == 7
            self.seen.append((hint.path, hint.kind))
        return (path, kind) in self.seen


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    folder = tmp_path / "export"
    folder.mkdir()
    watched = Watched(folder)
    listen_for_losses(watched.hints)
    yield watched
    watched.watcher.stop()


def test_watch_closed_file_gives_a_hint(watched: Watched) -> None:
    assert watched.keep_watching()
    (watched.folder / "a.jpg").write_bytes(b"x")
    until(lambda: watched.has_seen(b"a.jpg", HintKind.CLOSED))
    assert (b"a.jpg", HintKind.CREATED) in watched.seen


def test_watch_file_renamed_in_is_told_from_one_created(watched: Watched, tmp_path: Path) -> None:
    watched.keep_watching()
    (tmp_path / "elsewhere").write_bytes(b"x")
    (tmp_path / "elsewhere").rename(watched.folder / "a.jpg")
    until(lambda: watched.has_seen(b"a.jpg", HintKind.RENAMED_IN))
    (watched.folder / "b.part").write_bytes(b"x")
    (watched.folder / "b.part").rename(watched.folder / "b.jpg")
    until(lambda: watched.has_seen(b"b.jpg", HintKind.RENAMED_IN))
    assert {path for path, _ in watched.seen} == {b"a.jpg", b"b.jpg"}


def test_watch_new_folders_and_folder_moved_in_give_hints(watched: Watched, tmp_path: Path) -> None:
    watched.keep_watching()
    (watched.folder / "S1" / "slide").mkdir(parents=True)
    until(lambda: watched.has_seen(b"S1/slide", HintKind.NEW_FOLDER))
    (watched.folder / "S1" / "slide" / "a.jpg").write_bytes(b"x")
    until(lambda: watched.has_seen(b"S1/slide/a.jpg", HintKind.CLOSED))
    (tmp_path / "S2").mkdir()
    (tmp_path / "S2" / "b.jpg").write_bytes(b"x")
    (tmp_path / "S2").rename(watched.folder / "S2")
    until(lambda: watched.has_seen(b"S2/b.jpg", HintKind.CREATED))


def test_watch_file_moved_away_hardly_holds_up_the_next_hint(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As when a LIS takes away each image that it has read.
    held_s: list[float] = []

    def hold(seconds: float) -> None:
        held_s.append(seconds)
        time.sleep(seconds)

    its_time = SimpleNamespace(monotonic=time.monotonic, sleep=hold)
    monkeypatch.setattr("watchdog.utils.delayed_queue.time", its_time)
    watched.keep_watching()
    (watched.folder / "a.jpg").write_bytes(b"x")
    (watched.folder / "a.jpg").rename(tmp_path / "a.jpg")
    (watched.folder / "b.jpg").write_bytes(b"x")
    until(lambda: watched.has_seen(b"b.jpg", HintKind.CLOSED))
    assert max(held_s, default=0.0) < 0.05


def test_watch_goes_on_in_a_folder_whose_renaming_came_in_two_halves(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    (watched.folder / "S1" / "A").mkdir(parents=True)
    watched.keep_watching()
    for name in ("find", "remove"):
        monkeypatch.setattr(DelayedQueue, name, lambda _self, _predicate: None)
    (watched.folder / "S1").rename(watched.folder / "S2")
    until(lambda: watched.has_seen(b"S2", HintKind.NEW_FOLDER))
    (watched.folder / "S2" / "A" / "a.jpg").write_bytes(b"x")
    until(lambda: watched.has_seen(b"S2/A/a.jpg", HintKind.CLOSED))
    (watched.folder / "S1").mkdir()
    until(lambda: watched.has_seen(b"S1", HintKind.NEW_FOLDER))
    (watched.folder / "S1" / "b.jpg").write_bytes(b"x")
    until(lambda: watched.has_seen(b"S1/b.jpg", HintKind.CLOSED))


def test_watch_reading_and_leaving_give_no_hints(watched: Watched) -> None:
    (watched.folder / "a.jpg").write_bytes(b"x")
    watched.keep_watching()
    for _ in range(20):
        (watched.folder / "a.jpg").read_bytes()
    (watched.folder / "a.jpg").rename(watched.folder.parent / "a.jpg")
    (watched.folder / "last.jpg").write_bytes(b"x")
    until(lambda: watched.has_seen(b"last.jpg", HintKind.CLOSED))
    assert {path for path, _ in watched.seen} == {b"last.jpg"}


def test_watch_name_that_is_not_utf8_comes_through(watched: Watched) -> None:
    watched.keep_watching()
    path = os.fsencode(watched.folder) + b"/\xff.jpg"
    with open(path, "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(b"x")
    until(lambda: watched.has_seen(b"\xff.jpg", HintKind.CLOSED))


def test_watch_dead_threads_are_replaced(watched: Watched) -> None:
    assert watched.keep_watching()
    assert not watched.keep_watching()
    for kind in KINDS:
        (thread,) = watch_threads(kind)
        thread.stop()
        until(lambda: not watched.watcher.is_watching)
        assert watched.keep_watching()
    (watched.folder / "a.jpg").write_bytes(b"x")
    until(lambda: watched.has_seen(b"a.jpg", HintKind.CLOSED))


def test_watch_folder_made_again_is_watched_again(watched: Watched) -> None:
    watched.keep_watching()
    shutil.rmtree(watched.folder)
    assert not watched.keep_watching()
    assert not watched.watcher.is_watching
    watched.folder.mkdir()
    assert watched.keep_watching()
    (watched.folder / "a.jpg").write_bytes(b"x")
    until(lambda: watched.has_seen(b"a.jpg", HintKind.CLOSED))


def test_watch_folder_behind_a_link_is_watched(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    watched = Watched(tmp_path / "link")
    watched.keep_watching()
    (tmp_path / "real" / "a.jpg").write_bytes(b"x")
    until(lambda: watched.has_seen(b"a.jpg", HintKind.CLOSED))
    watched.watcher.stop()


def test_watch_share_is_left_to_polling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "is_on_share", lambda _folder: True)
    automatic, never = Watched(tmp_path, poll="auto"), Watched(tmp_path, poll="never")
    assert not automatic.keep_watching()
    assert not automatic.watcher.is_watching
    assert never.keep_watching()
    never.watcher.stop()


def test_hints_overflow_is_a_loss_and_never_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints_module, "MAX_HINTS", 3)
    hints = Hints()
    for number in range(5):
        hints.put(Hint(1, b"%d" % number, HintKind.CREATED))
    assert [hint.path for hint in hints.take(0.0)] == [b"0", b"1", b"2"]
    assert hints.take_loss()
    assert not hints.take_loss()


def test_hints_wake_ends_the_wait() -> None:
    hints = Hints()
    hints.wake()
    assert list(hints.take(60.0)) == []


def test_watchdogs_warning_is_a_loss_and_is_not_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hints = Hints()
    listen_for_losses(hints)
    logging.getLogger("watchdog.observers.inotify_c").warning("overflow below %r", b"/S123")
    assert hints.take_loss()
    assert capsys.readouterr() == ("", "")
