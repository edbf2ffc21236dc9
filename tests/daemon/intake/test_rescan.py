"""Tests for daemon.intake.rescan: which files are images, and when a scan is due."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.intake.rescan import CHUNK, Rescan
from daemon.intake.walk import image_files
from daemon.journal.journal import open_journal


def root(folder: Path) -> WatchFolder:
    return WatchFolder(1, folder, folder, names_regex(("*.jpg", "*.png")))


def found(folder: Path, start: bytes = b"") -> set[bytes]:
    return {file.path for file in image_files(root(folder), lambda *_: None, start)}


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def drain(scan: Rescan) -> list[bytes]:
    files = [file.path for file in scan.next_chunk(30.0)]
    while scan.is_running:
        files += [file.path for file in scan.next_chunk(30.0)]
    return files


def test_image_files_takes_images_of_every_depth_and_case(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "S1/b.JPG", "S1/slide/c.png", "S1/c.txt", "S1/a.jpg.json")
    assert found(tmp_path) == {b"a.jpg", b"S1/b.JPG", b"S1/slide/c.png"}
    assert found(tmp_path, b"S1/slide") == {b"S1/slide/c.png"}


def test_image_files_names_of_sidecars_are_no_images_whatever_the_pattern(tmp_path: Path) -> None:
    put(tmp_path, "cell.jpg", "cell.jpg.json", "cell.jpg.CSV", "cell.json", "cells")
    wide = WatchFolder(1, tmp_path, tmp_path, names_regex(("cell*",)))
    found = {file.path for file in image_files(wide, lambda *_: None)}
    assert found == {b"cell.jpg", b"cells"}
    assert not wide.has_image(b"S1/cell.jpg.json")


def test_image_files_leaves_hidden_names_out(tmp_path: Path) -> None:
    put(tmp_path, ".a.jpg", "._b.jpg", ".snapshot/c.jpg", "d.jpg")
    assert found(tmp_path) == {b"d.jpg"}


def test_image_files_gives_links_but_does_not_follow_them(tmp_path: Path) -> None:
    put(tmp_path / "outside", "c.jpg")
    put(tmp_path / "in", "a.jpg")
    (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / "outside" / "c.jpg")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "outside")
    assert found(tmp_path / "in") == {b"a.jpg", b"link.jpg"}


def test_image_files_name_that_is_not_utf8_is_found(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xfe.jpg"
    with open(path, "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(b"xyz")
    (version,) = image_files(root(tmp_path), lambda *_: None)
    assert (version.path, version.size_bytes) == (b"\xff\xfe.jpg", 3)


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder on tmpfs, which keeps every year; ext4 ends in 1901 and 2446."""
    memory = Path("/dev/shm")  # noqa: S108 - by what it is, not as a temporary folder
    if not memory.is_dir():
        pytest.skip("there is no /dev/shm")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


# Time 0 of SMB and NTFS, and years beyond 64 bits of nanoseconds.
@pytest.mark.parametrize("mtime_s", [-11_644_473_600, 10_413_792_000, 253_402_300_800])
def test_scan_file_of_a_year_beyond_the_journals_is_recorded_and_known_afterwards(
    memory_folder: Path, tmp_path: Path, mtime_s: int
) -> None:
    put(memory_folder, "a.jpg")
    os.utime(memory_folder / "a.jpg", (mtime_s, mtime_s))
    journal = open_journal(tmp_path)
    id_ = journal.serve(memory_folder)
    watched = WatchFolder(id_, memory_folder, memory_folder, names_regex(("*.jpg",)))
    (version,) = Rescan(watched).next_chunk(30.0)
    assert watched.look(b"a.jpg") == version
    assert journal.unknown([version]) == [version]
    journal.record_waiting([version])
    assert journal.unknown(Rescan(watched).next_chunk(30.0)) == []
    journal.close()


@pytest.mark.parametrize("mtime_s", [-11_644_473_600, 253_402_300_800])
def test_version_of_any_status_fits_into_the_journal(tmp_path: Path, mtime_s: int) -> None:
    times = {"st_mtime_ns": mtime_s * 10**9, "st_ctime_ns": mtime_s * 10**9}
    status = os.stat_result((0o644, 1, 1, 1, 0, 0, 3, 0, mtime_s, 0), times)
    version = root(tmp_path).version(b"a.jpg", status)
    assert -(2**63) <= version.mtime_ns < 2**63
    assert version.ctime_ns == version.mtime_ns
    assert version.size_bytes == 3


def test_scan_large_folder_comes_in_chunks(tmp_path: Path) -> None:
    put(tmp_path, *(f"{n}.jpg" for n in range(CHUNK + 10)))
    scan = Rescan(root(tmp_path))
    assert len(scan.next_chunk(30.0)) == CHUNK
    assert scan.is_running
    assert len(scan.next_chunk(30.0)) == 10
    assert scan.completed == 1
    assert scan.next_chunk(30.0) == []


def test_scan_interval_and_request_make_it_due(tmp_path: Path) -> None:
    now_s = 0.0
    scan = Rescan(root(tmp_path), clock=lambda: now_s)
    drain(scan)
    put(tmp_path, "a.jpg")
    now_s = 29.9
    assert drain(scan) == []
    now_s = 30.1
    assert drain(scan) == [b"a.jpg"]
    scan.request()
    assert drain(scan) == [b"a.jpg"]


def test_scan_new_folder_is_scanned_a_second_later(tmp_path: Path) -> None:
    now_s = 0.0
    scan = Rescan(root(tmp_path), clock=lambda: now_s)
    drain(scan)
    put(tmp_path, "S1/a.jpg", "S2/b.jpg")
    scan.request_folder(b"S1")
    assert drain(scan) == []
    assert scan.seconds_to_next() == pytest.approx(1.0)
    now_s = 1.1
    assert drain(scan) == [b"S1/a.jpg"]


def test_scan_missing_folder_is_said_once_and_found_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "export"
    scan = Rescan(root(folder))
    for _ in range(3):
        scan.request()
        assert drain(scan) == []
    put(folder, "a.jpg")
    scan.request()
    assert drain(scan) == [b"a.jpg"]
    messages = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(messages) == 2
    assert "it cannot be read (No such file or directory)" in messages[0]
    assert "can be read again" in messages[1]


def test_scan_folder_deleted_while_it_runs_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "S1/a.jpg", *(f"{n}.jpg" for n in range(CHUNK)))
    scan = Rescan(root(tmp_path))
    scan.next_chunk(30.0)
    shutil.rmtree(tmp_path / "S1")
    drain(scan)
    assert caplog.records == []


def test_scan_that_hung_is_not_put_off_for_ten_times_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    put(tmp_path, "a.jpg")
    scan = Rescan(root(tmp_path), clock=lambda: now_s)
    scandir = os.scandir

    def hang(path: bytes) -> object:
        nonlocal now_s
        now_s += 60.0
        return scandir(path)

    monkeypatch.setattr(os, "scandir", hang)
    assert scan.next_chunk(2.0) != []
    assert scan.seconds_to_next() <= 2.0
