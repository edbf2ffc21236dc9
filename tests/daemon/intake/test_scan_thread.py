"""Tests for FolderIntake and its ScanThread: a file system that hangs holds up nobody else."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.intake import folder_intake as source_module
from daemon.intake.folder_intake import FolderIntake
from daemon.intake.hints import Hints
from daemon.intake.rescan import Rescan
from daemon.system.bounded_call import BoundedCalls
from edge.errors import StorageError
from tests.support.waiting import until


def a_root(folder: Path) -> WatchFolder:
    return WatchFolder(1, folder, folder, names_regex(("*.jpg",)))


def polled(folder: Path) -> FolderIntake:
    return FolderIntake(a_root(folder), Hints(), poll="always", rescan_s=60.0)


def take_all(source: FolderIntake) -> list[bytes]:
    source.keep_watching()
    paths: list[bytes] = []

    def is_scanned() -> bool:
        paths.extend(version.path for version in source.next_chunk())
        return source.is_scanned

    until(is_scanned)
    return paths


def test_source_is_scanned_only_when_its_last_chunk_was_taken(tmp_path: Path) -> None:
    for number in range(1200):
        (tmp_path / f"{number}.jpg").touch()
    source = polled(tmp_path)
    source.keep_watching()
    until(lambda: source._scanner._scan.completed > 0)  # noqa: SLF001 - that a whole scan waits to be taken
    assert not source.is_scanned
    assert len(take_all(source)) == 1200
    source.note_loss()
    assert not source.is_scanned
    assert len(take_all(source)) >= 1200
    source.stop_watching()


def test_source_folder_that_is_away_is_known_when_it_is_scanned(tmp_path: Path) -> None:
    source = polled(tmp_path / "away")
    take_all(source)
    with pytest.raises(StorageError, match="is not there"):
        source.require_folder()
    source.stop_watching()


def test_source_that_hangs_blocks_nobody_and_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(source_module, "HUNG_S", 0.1)
    monkeypatch.setattr(source_module, "_LOOK_S", 0.1)
    (tmp_path / "a.jpg").touch()
    answers, answered = threading.Event(), list[object]()
    scandir = os.scandir

    def wait_first(call: Callable[..., Any]) -> Callable[..., Any]:
        def hang(*arguments: Any) -> Any:
            answers.wait(60)
            answered.append(call)
            return call(*arguments)

        return hang

    monkeypatch.setattr(os, "scandir", wait_first(scandir))
    source = polled(tmp_path)
    monkeypatch.setattr(WatchFolder, "look", wait_first(WatchFolder.look))
    for _ in range(20):
        source.keep_watching()
        assert source.next_chunk() == []
        assert not source.is_scanned
        assert source.look(b"a.jpg") is None
    until(lambda: source.hung_for_s > 0.1)
    source.keep_watching()
    assert answered == []
    monkeypatch.undo()
    answers.set()
    assert set(take_all(source)) == {b"a.jpg"}
    until(lambda: source.look(b"a.jpg") is not None)
    source.keep_watching()
    texts = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert [("does not answer" in t, "answers again" in t) for t in texts] == [
        (True, False),
        (False, True),
    ]
    source.stop_watching()


def test_source_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, is_hung, has_answered = threading.Event(), threading.Event(), threading.Event()

    def hang(_watch_folder: WatchFolder) -> None:
        is_hung.set()
        answers.wait(60)
        has_answered.set()

    monkeypatch.setattr(WatchFolder, "identity", hang)
    monkeypatch.setattr("daemon.intake.scan_thread._STOP_S", 0.01)
    source = polled(tmp_path)
    source.keep_watching()
    assert is_hung.wait(20)
    source.stop_watching()
    assert not has_answered.is_set()
    answers.set()


def test_source_error_in_its_thread_is_raised_to_the_coordinator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Rescan, "next_chunk", fail)
    source = polled(tmp_path)

    def goes_on() -> bool:
        source.keep_watching()
        return False

    with pytest.raises(RuntimeError):
        until(goes_on)
    source.stop_watching()


def test_bounded_calls_answer_raise_and_time_out() -> None:
    calls: BoundedCalls[int] = BoundedCalls("test")
    assert calls.call(lambda: 3, 5.0) == 3
    with pytest.raises(ZeroDivisionError):
        calls.call(lambda: 1 // 0, 5.0)
    answers = threading.Event()
    with pytest.raises(TimeoutError):
        calls.call(lambda: int(answers.wait(30)), 0.01)
    with pytest.raises(TimeoutError):  # the thread is still inside the last one
        calls.call(lambda: 3, 5.0)
    answers.set()
    until(lambda: not calls.is_hung)
    assert calls.call(lambda: 4, 5.0) == 4
    calls.stop()


def test_bounded_calls_hand_over_what_comes_late_and_nothing_else() -> None:
    calls: BoundedCalls[int] = BoundedCalls("test")
    late: list[int] = []
    answers = threading.Event()
    with pytest.raises(TimeoutError):
        calls.call(lambda: 1 + int(answers.wait(30)), 0.01, late.append)
    assert late == []
    answers.set()
    until(lambda: not calls.is_hung)
    assert late == [2]
    assert calls.call(lambda: 3, 5.0, late.append) == 3
    assert late == [2]
    calls.stop()


class Quick:
    """A scan on a clock of its own, after its first whole scan."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 0.0
        self.folder = folder
        # Folders count as listed long after their last change.
        self.scan = Rescan(a_root(folder), clock=lambda: self.now_s, wall_clock=lambda: 0.0)
        self.scan.next_chunk(3600.0, quick_s=1.0)

    def found(self) -> set[bytes]:
        self.now_s += 1.5
        return {version.path for version in self.scan.next_chunk(3600.0, quick_s=1.0)}


def test_quick_scan_lists_only_folders_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        (tmp_path / f"S{number}").mkdir()
    quick = Quick(tmp_path)
    assert quick.found() == set()
    listed: list[bytes] = []
    scandir = os.scandir

    def note_and_list(path: bytes) -> Any:
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", note_and_list)
    assert quick.found() == set()
    assert listed == []
    (tmp_path / "S3" / "a.jpg").touch()
    assert quick.found() == {b"S3/a.jpg"}
    assert listed == [os.fsencode(tmp_path) + b"/S3"]


def test_quick_scan_folder_that_just_changed_is_listed_again(tmp_path: Path) -> None:
    quick = Quick(tmp_path)
    (tmp_path / "a.jpg").touch()
    assert quick.found() == {b"a.jpg"}
    before = tmp_path.stat().st_mtime_ns
    (tmp_path / "b.jpg").touch()
    # As if both had come within one tick of the kernel's clock.
    os.utime(tmp_path, ns=(before, before))
    assert b"b.jpg" in quick.found()
    quick.found()
    assert quick.found() == set()


def test_quick_scan_after_the_clock_went_back_gives_the_whole_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    now_s = time.time()
    # The folder was listed while the clock was a day ahead; the file is of after it went back.
    os.utime(tmp_path, (now_s + 86400, now_s + 86400))
    quick = Quick(tmp_path)
    os.utime(tmp_path, (now_s, now_s))
    assert quick.found() == {b"a.jpg"}


def test_quick_scan_folder_that_is_gone_is_no_error_and_known_again(tmp_path: Path) -> None:
    (tmp_path / "S1").mkdir()
    quick = Quick(tmp_path)
    (tmp_path / "S1").rmdir()
    assert quick.found() == set()
    (tmp_path / "S1" / "slide").mkdir(parents=True)
    (tmp_path / "S1" / "slide" / "a.jpg").touch()
    assert quick.found() == {b"S1/slide/a.jpg"}


def test_scan_of_known_files_opens_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        (tmp_path / f"{number}.jpg").write_bytes(b"x")
    opened: list[object] = []
    monkeypatch.setattr(os, "open", lambda path, *_: opened.append(path))
    monkeypatch.setattr("builtins.open", lambda path, *_: opened.append(path))
    scan = Rescan(a_root(tmp_path))
    for _ in range(3):
        scan.request()
        assert len(scan.next_chunk(60.0)) == 50
    monkeypatch.undo()
    assert opened == []
