"""Tests for daemon.journal.file and summary: opening, damage, and reading beside the daemon."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from daemon.image.records import LATER_RUN, Finished, Postponed
from daemon.journal.file import NAME
from daemon.journal.journal import Journal, open_journal
from daemon.journal.schema import SCHEMA_VERSION
from daemon.journal.summary import read_summary
from edge.errors import RejectReason, StorageError
from edge.labeller import ImageFacts, rejected
from tests.daemon.journal.images import labelled, reopened, version


def test_image_that_this_run_does_not_take_again_is_not_open_and_is_taken_by_the_next(
    journal: Journal, tmp_path: Path
) -> None:
    journal.record_waiting([version("a")])
    journal.conclude([Postponed(i, LATER_RUN, 0, "sidecar name: taken") for i in journal.claim(9)])
    journal.try_refused_now()
    assert not journal.has_open_images()
    again = reopened(journal, tmp_path)
    again.take_back_claims(is_interruption=False)
    assert [image.version.path for image in again.claim(9)] == [b"a"]
    again.close()


def test_open_journal_in_a_folder_that_others_may_enter_is_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    journal = open_journal(tmp_path)
    journal.serve(tmp_path / "export")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    journal.close()
    assert modes == {NAME: 0o600, f"{NAME}-wal": 0o600, f"{NAME}-shm": 0o600}


def test_read_summary_counts_images_of_other_folders_apart(
    journal: Journal, tmp_path: Path
) -> None:
    other = journal.serve(tmp_path / "other")
    journal.record_waiting([version("a"), version("x", root=other), version("y", root=other)])
    summary = read_summary(tmp_path, [tmp_path / "export", tmp_path / "never seen"])
    assert (summary.states, summary.waiting_elsewhere) == ({"waiting": 1}, 2)
    (a,) = journal.claim(1)
    journal.conclude([Postponed(a, 5.0, 0, "unreadable", 90.0)])
    summary = read_summary(tmp_path, [tmp_path / "export"])
    assert summary.held_up == {"unreadable": 1}
    (x, *_) = journal.claim(9)
    journal.conclude([Finished(x, labelled("red"))])
    summary = read_summary(tmp_path, [tmp_path / "gone"])
    assert (summary.oldest_waiting_at, summary.statuses, summary.labels) == (None, {}, {})


def test_read_summary_while_the_journal_is_in_use_counts_everything(
    journal: Journal, tmp_path: Path
) -> None:
    journal.record_waiting([version(name) for name in "abc"])
    a, b, _ = journal.claim(3)
    bad = rejected(RejectReason.TRUNCATED, "no end", ImageFacts())
    journal.conclude([Finished(a, labelled("red")), Finished(b, bad)])
    summary = read_summary(tmp_path, [tmp_path / "export"])
    assert summary.states == {"done": 2, "claimed": 1}
    assert summary.statuses == {"labelled": 1, "rejected": 1}
    assert summary.labels == {"red": 1}
    (rejection,) = summary.rejections
    assert (rejection.folder, rejection.path) == (tmp_path / "export", b"b")
    assert rejection.reason == "truncated"


def test_read_summary_without_a_journal_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no daemon has used"):
        read_summary(tmp_path, [])


def test_open_newer_journal_is_refused_and_left_alone(journal: Journal, tmp_path: Path) -> None:
    journal.close()
    with closing(sqlite3.connect(tmp_path / NAME)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer = f"version {SCHEMA_VERSION + 1}, this program reads {SCHEMA_VERSION}"
    with pytest.raises(StorageError, match=newer):
        open_journal(tmp_path)
    with pytest.raises(StorageError, match=newer):
        read_summary(tmp_path, [])


def test_open_file_that_is_no_database_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError, match=r"move journal\.sqlite3\* aside"):
        open_journal(tmp_path)


def test_damaged_page_is_a_storage_error(journal: Journal, tmp_path: Path) -> None:
    journal.record_waiting([version(str(n)) for n in range(2000)])
    journal.close()
    content = bytearray((tmp_path / NAME).read_bytes())
    content[8192:] = b"\x55" * (len(content) - 8192)
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(StorageError, match="damaged"):
        read_summary(tmp_path, [tmp_path / "export"])


def test_open_new_journal_survives_a_power_cut(journal: Journal) -> None:
    (mode,) = journal._connection.execute("PRAGMA journal_mode").fetchone()  # noqa: SLF001 - a connection's own settings
    (synchronous,) = journal._connection.execute("PRAGMA synchronous").fetchone()  # noqa: SLF001 - a connection's own settings
    assert (mode, synchronous) == ("wal", 2)


def test_log_that_grew_under_a_long_reader_is_cut_when_he_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.journal.connection._LONGEST_WAL_BYTES", 2**16)
    log = tmp_path / f"{NAME}-wal"
    with closing(open_journal(tmp_path)) as journal:
        journal.serve(tmp_path / "export")
        with closing(sqlite3.connect(tmp_path / NAME, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM image").fetchone()
            for page in range(60):
                journal.record_waiting([version(f"{page}-{n}.jpg") for n in range(500)])
            assert log.stat().st_size > 4 * 2**20
            reader.execute("COMMIT")
            for page in range(3):
                journal.record_waiting([version(f"after-{page}.jpg")])
        assert log.stat().st_size <= 2**16
        assert journal.count_open() == 30_003
