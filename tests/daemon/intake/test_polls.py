"""Polls pass on all that is not as the last scan saw it, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.image.records import ClaimedImage, Dropped
from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.intake import seen_files
from daemon.intake.folder_intake import FolderIntake
from daemon.intake.hints import Hints
from daemon.intake.rescan import Rescan
from tests.support.waiting import until

POLL_S = 2.0


class Poller:
    """A rescan of a polled folder with a clock of its own."""

    def __init__(self, folder: Path, exclude: str | None = None) -> None:
        excluded = names_regex((exclude,)) if exclude else None
        self.folder = WatchFolder(1, folder, folder, names_regex(("*.jpg",)), None, excluded)
        self.now_s = 0.0
        self.scan = Rescan(self.folder, clock=lambda: self.now_s)

    def look(self, after_s: float = POLL_S) -> set[bytes]:
        """What is passed on `after_s` after the last look."""
        self.now_s += after_s
        assert self.scan.seconds_to_next() == 0.0
        found = {version.path for version in self.scan.next_chunk(3600.0, poll_s=POLL_S)}
        while self.scan.is_running:
            found |= {version.path for version in self.scan.next_chunk(3600.0, poll_s=POLL_S)}
        return found


def put(folder: Path, *names: str, content: bytes = b"x") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture
def poller(tmp_path: Path) -> Poller:
    put(tmp_path, "a.jpg", "S1/b.jpg", "S1/c.jpg", "S1/b.jpg.json", "S1/notes.txt")
    poller = Poller(tmp_path)
    assert poller.look(0.0) == {b"a.jpg", b"S1/b.jpg", b"S1/c.jpg"}
    assert poller.look() == set()
    return poller


def same_size_and_mtime(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"y")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path: Path) -> None:
    other = path.with_name(".other")
    other.write_bytes(b"x")
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"longer"),
        lambda path: os.utime(path, ns=(0, 1)),
        same_size_and_mtime,
        replaced,
    ],
)
def test_poll_passes_on_a_file_that_changed_in_any_way_at_the_next_look(
    poller: Poller, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    folder_mtime_ns = (tmp_path / "S1").stat().st_mtime_ns
    change(tmp_path / "S1" / "b.jpg")
    # On a share this tells nothing.
    os.utime(tmp_path / "S1", ns=(folder_mtime_ns, folder_mtime_ns))
    assert poller.look() == {b"S1/b.jpg"}
    assert poller.look() == set()


def test_poll_passes_on_new_files_and_those_of_new_folders(poller: Poller, tmp_path: Path) -> None:
    put(tmp_path, "S1/d.jpg", "S2/1/e.jpg", "S1/d.txt", ".hidden.jpg", ".snapshot/a.jpg")
    assert poller.look() == {b"S1/d.jpg", b"S2/1/e.jpg"}
    assert poller.look() == set()


def test_poll_passes_on_a_file_that_was_away_for_a_look(poller: Poller, tmp_path: Path) -> None:
    (tmp_path / "S1").rename(tmp_path / ".S1")
    assert poller.look() == set()
    (tmp_path / ".S1").rename(tmp_path / "S1")
    assert poller.look() == {b"S1/b.jpg", b"S1/c.jpg"}


def test_poll_after_a_doubt_and_a_whole_scan_pass_everything_on(
    poller: Poller, tmp_path: Path
) -> None:
    poller.scan.forget_seen()
    assert len(poller.look()) == 3
    assert poller.look() == set()
    poller.scan.request()
    assert len(poller.look(0.0)) == 3
    assert poller.scan.completed == 2
    (tmp_path / "a.jpg").unlink()
    assert poller.look() == set()


def test_poll_leaves_out_what_a_whole_scan_leaves_out(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "qc/b.jpg", "qc.jpg", "c.jpg.json")
    poller = Poller(tmp_path, exclude="qc*")
    assert poller.look(0.0) == {b"a.jpg"}
    for _ in range(2):
        poller.scan.forget_seen()
        assert poller.look() == {b"a.jpg"}
    put(tmp_path, "qc/new.jpg", "c.jpg")
    assert poller.look() == {b"c.jpg"}


def test_poll_of_more_files_than_are_remembered_passes_the_others_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_files, "MOST", 2)
    put(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg", "1.txt", "2.txt", "3.txt")
    poller = Poller(tmp_path)
    assert len(poller.look(0.0)) == 4
    for _ in range(3):
        assert len(poller.look()) == 2


def test_folder_that_is_away_for_a_poll_is_told_and_its_files_come_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "export", "a.jpg")
    poller = Poller(tmp_path / "export")
    assert poller.look(0.0) == {b"a.jpg"}
    (tmp_path / "export").rename(tmp_path / "away")
    assert poller.look() == set()
    (tmp_path / "away").rename(tmp_path / "export")
    assert poller.look() == {b"a.jpg"}
    texts = [record.getMessage() for record in caplog.records]
    assert ["cannot be read (" in texts[0], "can be read again" in texts[1]] == [True, True]


def test_image_that_a_worker_did_not_find_comes_again_without_a_change(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    hints = Hints()
    watched = WatchFolder(1, tmp_path, tmp_path, names_regex(("*.jpg",)))
    intake = FolderIntake(watched, hints, poll="always", rescan_s=3600.0)
    found: list[bytes] = []

    def has_come(times: int) -> bool:
        intake.keep_watching()
        found.extend(version.path for version in intake.next_chunk())
        return found.count(b"a.jpg") >= times

    until(lambda: has_come(1))
    version = watched.look(b"a.jpg")
    assert version is not None
    intake.note_dropped(Dropped(ClaimedImage(1, version), "gone"))
    until(lambda: has_come(2))
    assert list(hints.take(0.0)) == []
    intake.note_dropped(Dropped(ClaimedImage(1, version), "superseded"))
    assert [hint.path for hint in hints.take(0.0)] == [b"a.jpg"]
    # A look on the share that sees nothing, though the file is there by now.
    (tmp_path / "a.jpg").rename(tmp_path / ".a.jpg")
    assert intake.look(b"a.jpg") is None
    (tmp_path / ".a.jpg").rename(tmp_path / "a.jpg")
    until(lambda: has_come(3))
    intake.stop_watching()
