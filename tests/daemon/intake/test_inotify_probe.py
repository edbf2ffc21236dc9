"""Tests for daemon.intake.inotify_probe: events prove themselves, living threads do not."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.intake import inotify_probe as probe_module
from daemon.intake.hints import Hints
from daemon.intake.inotify import InotifyWatch
from daemon.intake.inotify_probe import InotifyProbe
from tests.support.waiting import until


class Watched:
    """A watched folder, a probe, and a clock that goes when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 0.0
        (folder / "export").mkdir()
        root = WatchFolder(1, folder / "export", folder / "export", names_regex(("*.jpg",)))
        self.probe = InotifyProbe(folder / "state", "1", clock=lambda: self.now_s)
        self.watcher = InotifyWatch(
            root, Hints(), poll="never", probe=self.probe, clock=lambda: self.now_s
        )

    def check(self) -> bool:
        self.now_s += 1.1
        return self.watcher.keep_watching()


def test_probe_that_is_seen_proves_the_watch(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    assert watched.check()
    for _ in range(5):
        assert not watched.check()
        until(lambda: watched.watcher.last_proof_s == watched.now_s)
    assert watched.watcher.is_watching
    assert list((tmp_path / "export").iterdir()) == []
    watched.watcher.stop()


def test_probe_that_is_missed_has_the_watch_replaced_then_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path)

    def watching() -> list[bool]:
        return [watched.watcher.is_watching]

    watched.check()
    until(lambda: watched.watcher.last_proof_s is not None)
    monkeypatch.setattr(InotifyProbe, "dispatch", lambda _self, _event: None)
    assert [watched.check() for _ in range(4)] == [False, False, False, True]
    assert watching() == [True]  # a new one
    assert [watched.check() for _ in range(3)] == [False, False, True]
    assert watching() == [False]  # and no third that would be as deaf
    assert not watched.check()
    monkeypatch.undo()
    watched.now_s += 30
    assert watched.check()
    assert watching() == [True]
    watched.watcher.stop()


def test_probe_on_a_file_system_without_events_is_said_once_and_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(probe_module, "is_on_share", lambda _folder: True)
    watched = Watched(tmp_path)
    for _ in range(8):
        watched.check()
    assert watched.watcher.is_watching
    assert watched.watcher.last_proof_s is None
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert ["without events" in record.getMessage() for record in warnings] == [True]
    watched.watcher.stop()
