"""The record with several processes, killed ones, and disks that refuse."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import StorageError
from edge.failpoints import VARIABLE
from edge.results.issued.issued import Issued
from edge.results.review.record.chain import Chain
from edge.results.review.record.record import Record
from tests.support.machine import mounts
from tests.support.review_entries import draft

# Appends entries of one slide, and stays near another process that does so with another slide.
APPENDING = """
import secrets, sys
from dataclasses import replace
from pathlib import Path
from edge.results.document.result import slide_key
from edge.results.review.record.record import Record
from tests.support.review_entries import draft
folder, own, other, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
with Record.open(folder) as record:
    done = 0
    while done < count:
        if done < len(record.of_slide(slide_key(other, None))) + 3:
            record.append(replace(draft(sample=own), request=secrets.token_hex(16)))
            done += 1
"""
# Appends one entry with the failpoints of the environment.
ONE = """
import sys
from dataclasses import replace
from pathlib import Path
from edge.failpoints import arm_failpoints
from edge.results.review.record.record import Record
from tests.support.review_entries import draft
arm_failpoints()
with Record.open(Path(sys.argv[1])) as record:
    print(record.append(replace(draft(), request="a" * 32)).number)
"""
REQUEST = "a" * 32


def start(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)])


def append_many(record: Record) -> None:
    """More than any room that a filled disk may have left in its pages."""
    for _ in range(100):
        record.append(draft())


def problems(folder: Path) -> list[str]:
    with Record.open(folder) as record:
        return list(Chain(record).problems())


def test_two_processes_append_at_once_and_every_entry_is_in_one_chain(tmp_path: Path) -> None:
    processes = [start(APPENDING, tmp_path, *names, 60) for names in ("ab", "ba")]
    assert [process.wait() for process in processes] == [0, 0]
    with Record.open(tmp_path) as record:
        samples = [entry.sample_id for entry in record.all()]
    assert (samples.count("a"), samples.count("b")) == (60, 60)
    # Each was at most three entries ahead of the other.
    assert "a" in samples[:4]
    assert "b" in samples[:4]
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("point", "before"), [("review.before_commit", 0), ("review.after_commit", 1)]
)
def test_killed_between_record_and_answer_the_same_request_again_is_one_entry(
    tmp_path: Path, point: str, before: int
) -> None:
    environment = {**os.environ, VARIABLE: f"{point}=kill"}
    command = [sys.executable, "-c", ONE, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
    with Record.open(tmp_path) as record:
        assert record.head()[0] == before
        again = record.append(replace(draft(), request=REQUEST))
        assert again.number == 1
        assert [one.request for one in record.all()] == [REQUEST]
        assert record.append(draft()).number == 2
    assert problems(tmp_path) == []


def test_append_on_a_full_disk_is_refused_and_works_when_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with mounts.tmpfs(tmp_path / "state", "size=512k") as disk, Record.open(disk.folder) as record:
        record.append(draft())
        disk.fill()
        refused = replace(draft(), request=REQUEST)
        with pytest.raises(StorageError, match="Check space, permissions and disk"):
            append_many(record)
        with pytest.raises(StorageError):
            record.append(refused)
        before = record.head()[0]
        disk.make_room()
        assert record.append(refused).number == before + 1
        assert list(Chain(record).problems()) == []


def test_record_on_a_read_only_disk_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with mounts.tmpfs(tmp_path / "state", "size=1m") as disk:
        with Record.open(disk.folder) as record:
            record.append(draft())
        disk.remount("ro")
        with (
            pytest.raises(StorageError, match="cannot be used"),
            Record.open(disk.folder) as record,
        ):
            record.append(draft())
        disk.remount("rw")
        assert problems(disk.folder) == []


def test_record_of_another_version_is_refused(tmp_path: Path) -> None:
    with Record.open(tmp_path) as record:
        record.append(draft())
    with closing(sqlite3.connect(tmp_path / "reviews.sqlite3")) as db:
        db.execute("PRAGMA user_version = 7")
    with pytest.raises(StorageError, match=r"has version 7, this program reads 1\."):
        Record.open(tmp_path)


def test_another_database_in_its_place_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    Issued.open(tmp_path).close()
    (tmp_path / "issued.sqlite3").rename(tmp_path / "reviews.sqlite3")
    content = (tmp_path / "reviews.sqlite3").read_bytes()
    with pytest.raises(StorageError, match="no such table"):
        Record.open(tmp_path)
    assert (tmp_path / "reviews.sqlite3").read_bytes() == content


@pytest.mark.parametrize("content", [b"no database at all", b"SQLite format 3\0" + bytes(84)])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "reviews.sqlite3").write_bytes(content)
    with pytest.raises(StorageError, match="the record of reviews"):
        Record.open(tmp_path)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "reviews.sqlite3").mkdir()
    with pytest.raises(StorageError, match="it is no regular file"):
        Record.open(tmp_path)
