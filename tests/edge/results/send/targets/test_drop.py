"""Tests for the drop folder: what an importer could see at any moment."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.failpoints import VARIABLE, arm_failpoints
from edge.results.send.targets.attempt import Fate
from edge.results.send.targets.drop import LARGEST_FILE_BYTES, DropFolder

NAME, CONTENT = "20261127T091500Z-0A1B-r1.csv", b"Sample ID,Test Code,Result\r\nS1,NEUT,60\r\n"
PUT = (
    "import sys; from pathlib import Path; from edge.failpoints import arm_failpoints;"
    "from edge.results.send.targets.drop import DropFolder; arm_failpoints();"
    "drop = DropFolder(Path(sys.argv[1])); drop.remove_leftovers();"
    f"print(drop.put({NAME!r}, {CONTENT!r}).fate)"
)
STEPS = (
    *("send.before_file", "file.before_create", "file.created", "file.half_written"),
    *("file.written", "file.before_fsync", "file.after_fsync", "file.before_rename"),
    *("file.after_rename", "file.before_folder_fsync", "file.after_folder_fsync", "send.file_put"),
)


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm_failpoints({})


def visible(folder: Path) -> dict[str, bytes]:
    """What an importer sees that skips hidden files."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}


def test_put_makes_one_whole_file_and_nothing_beside_it(tmp_path: Path) -> None:
    assert DropFolder(tmp_path).put(NAME, CONTENT).fate is Fate.DONE
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).read_bytes() == CONTENT
    # The bridge of OpenELIS waits while the time of a file lies in its future.
    assert (tmp_path / NAME).stat().st_mtime <= time.time()


def test_put_again_with_the_same_bytes_is_done_and_leaves_the_file(tmp_path: Path) -> None:
    drop = DropFolder(tmp_path)
    drop.put(NAME, CONTENT)
    before = (tmp_path / NAME).stat()
    attempt = drop.put(NAME, CONTENT)
    after = (tmp_path / NAME).stat()
    assert attempt.fate is Fate.DONE
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("other", [b"", CONTENT[:-1], CONTENT + b"x", b"X" * len(CONTENT)])
def test_put_where_other_bytes_are_is_refused_and_leaves_them(tmp_path: Path, other: bytes) -> None:
    (tmp_path / NAME).write_bytes(other)
    attempt = DropFolder(tmp_path).put(NAME, CONTENT)
    assert attempt.fate is Fate.REFUSED
    assert "is never replaced" in attempt.told
    assert visible(tmp_path) == {NAME: other}


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/fstab")]
)
def test_put_where_the_name_is_no_file_is_refused(tmp_path: Path, make: Any) -> None:
    make(tmp_path / NAME)
    assert DropFolder(tmp_path).put(NAME, CONTENT).fate is Fate.REFUSED


def test_put_where_a_file_appears_in_between_is_refused_and_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync_and_more(descriptor: int, fsync: Any = os.fsync) -> None:
        fsync(descriptor)
        (tmp_path / NAME).write_bytes(b"other")

    monkeypatch.setattr("edge.files.atomic.os.fsync", fsync_and_more)
    assert DropFolder(tmp_path).put(NAME, CONTENT).fate is Fate.REFUSED
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {NAME: b"other"}


def test_put_into_a_missing_folder_is_away_and_does_not_make_it(tmp_path: Path) -> None:
    attempt = DropFolder(tmp_path / "absent").put(NAME, CONTENT)
    assert attempt.fate is Fate.AWAY
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("step", ["file.half_written", "file.before_fsync", "file.before_rename"])
def test_put_on_a_disk_that_refuses_is_away_and_leaves_nothing(tmp_path: Path, step: str) -> None:
    arm_failpoints({VARIABLE: f"{step}=ENOSPC@1"})
    drop = DropFolder(tmp_path)
    assert drop.put(NAME, CONTENT).fate is Fate.AWAY
    assert list(tmp_path.iterdir()) == []
    assert drop.put(NAME, CONTENT).fate is Fate.DONE


def test_put_on_a_share_that_refuses_hidden_names_shows_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = os.open, []

    def refusing(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_CREAT:
            made.append(str(path))
            if str(path).startswith("."):
                raise OSError(errno.EACCES, "Permission denied", path)
        return real(path, flags, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refusing)
        attempt = DropFolder(tmp_path).put(NAME, CONTENT)
    assert attempt.fate is Fate.AWAY
    assert [name for name in made if not name.startswith(".")] == []
    assert list(tmp_path.iterdir()) == []


def test_put_of_more_than_importers_take_is_refused(tmp_path: Path) -> None:
    attempt = DropFolder(tmp_path).put(NAME, b"x" * (LARGEST_FILE_BYTES + 1))
    assert attempt.fate is Fate.REFUSED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", STEPS)
def test_put_killed_at_any_step_loses_and_doubles_nothing(tmp_path: Path, step: str) -> None:
    def put(**environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PUT, str(tmp_path)]
        whole = {**os.environ, **environment}
        return subprocess.run(command, env=whole, capture_output=True, text=True, check=False)

    assert put(**{VARIABLE: f"{step}=kill"}).returncode == -9
    assert visible(tmp_path) in ({}, {NAME: CONTENT})
    # Of a process that is gone; ten seconds later they are surely nobody's.
    for path in tmp_path.glob(".edge-*"):
        os.utime(path, (1, 1))
    again = put()
    assert again.stdout == "done\n", again.stderr
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {NAME: CONTENT}
