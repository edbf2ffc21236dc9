"""Tests for daemon.journal.journal: on a real database, also one that is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.image.records import LATER_RUN, Dropped, Finished, ImageVersion, Postponed
from daemon.journal.file import NAME
from daemon.journal.journal import Journal, open_journal
from daemon.journal.summary import read_summary
from edge.errors import RejectReason, StorageError
from edge.labeller import ImageFacts, Outcome, Status, Timing, rejected
from edge.postprocess import Decision


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    journal = open_journal(tmp_path, clock=clock)
    assert journal.serve(tmp_path / "export") == 1
    yield journal
    journal.close()


def version(name: str, size_bytes: int = 10, root: int = 1) -> ImageVersion:
    return ImageVersion(root, name.encode(), size_bytes, 1_700_000_000_123_456_789)


def labelled(label: str) -> Outcome:
    decision = Decision(label, 0.9, {label: 0.9}, is_identified=True)
    return Outcome(Status.LABELLED, ImageFacts("ab" * 32, 10), Timing(), decision)


def reopened(journal: Journal, folder: Path) -> Journal:
    journal.close()
    journal = open_journal(folder)
    journal.serve(folder / "export")
    return journal


def column(folder: Path, what: str) -> list[object]:
    with closing(sqlite3.connect(folder / NAME)) as db:
        return [row[0] for row in db.execute(f"SELECT {what} FROM image ORDER BY id")]  # noqa: S608


def test_record_waiting_known_version_is_recorded_once(journal: Journal) -> None:
    assert journal.record_waiting([version("a"), version("b"), version("a")]) == 2
    assert journal.record_waiting([version("a"), version("c")]) == 1
    assert journal.unknown([version("a"), version("d")]) == [version("d")]


def test_record_waiting_new_version_supersedes_the_waiting_one(
    journal: Journal, tmp_path: Path
) -> None:
    journal.record_waiting([version("a", 10)])
    journal.record_waiting([version("a", 20)])
    assert [image.version.size_bytes for image in journal.claim(9)] == [20]
    assert column(tmp_path, "state") == ["superseded", "claimed"]


def test_record_waiting_version_that_comes_back_is_labelled_again(journal: Journal) -> None:
    for size_bytes in (10, 20, 10):
        journal.record_waiting([version("a", size_bytes)])
        (image,) = journal.claim(9)
        assert image.version.size_bytes == size_bytes
        journal.conclude([Finished(image, labelled("red"))])
    assert not journal.has_open_images()


def test_claim_gives_every_image_once_in_order(journal: Journal) -> None:
    journal.record_waiting([version(str(n)) for n in range(5)])
    first, second = journal.claim(3), journal.claim(3)
    assert [image.version.path for image in first + second] == [b"0", b"1", b"2", b"3", b"4"]
    assert journal.claim(3) == []


def test_claim_of_a_new_version_waits_for_the_old_ones_worker(journal: Journal) -> None:
    journal.record_waiting([version("a", 10)])
    (old,) = journal.claim(9)
    journal.record_waiting([version("a", 20)])
    assert journal.claim(9) == []
    journal.conclude([Finished(old, labelled("red"))])
    assert [image.version.size_bytes for image in journal.claim(9)] == [20]


def test_claim_leaves_images_of_folders_that_are_not_served(
    journal: Journal, tmp_path: Path
) -> None:
    other = journal.serve(tmp_path / "other")
    journal.record_waiting([version("x", root=other)])
    again = reopened(journal, tmp_path)
    assert again.claim(9) == []
    assert not again.has_open_images()
    again.close()


def test_postponed_image_is_claimed_when_its_time_has_come(journal: Journal, clock: Clock) -> None:
    journal.record_waiting([version("a")])
    (image,) = journal.claim(9)
    journal.conclude([Postponed(image, 5.0, 2, "test", 90.0)])
    assert journal.claim(9) == []
    assert journal.has_open_images()
    clock.now_s += 5.0
    (image,) = journal.claim(9)
    assert (image.attempts, image.unfinished_since_s) == (2, 90.0)


def test_claim_gives_images_never_tried_before_those_held_up(
    journal: Journal, clock: Clock
) -> None:
    journal.record_waiting([version("held")])
    journal.conclude([Postponed(i, 5.0, 0, "unreadable", 90.0) for i in journal.claim(9)])
    clock.now_s += 5.0
    journal.record_waiting([version("new")])
    assert [image.version.path for image in journal.claim(1)] == [b"new"]
    assert [image.version.path for image in journal.claim(1)] == [b"held"]


def test_retry_rejected_puts_back_those_wanted_of_served_folders(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.journal.outcomes.PAGE", 2)
    other = journal.serve(tmp_path / "other")
    journal.record_waiting([*(version(str(n)) for n in range(5)), version("x", root=other)])
    reasons = [RejectReason.UNREADABLE] * 4 + [RejectReason.EMPTY] * 2
    images = journal.claim(9)
    journal.conclude(
        [
            Finished(image, rejected(reason, "", ImageFacts()))
            for image, reason in zip(images, reasons, strict=True)
        ]
    )
    again = reopened(journal, tmp_path)
    pages = list(again.rejections("unreadable"))
    assert [len(page) for page in pages] == [2, 2]
    wanted = [image for page in pages for image in page if image.path != b"1"]
    assert again.put_back(wanted) == 3
    assert [image.version.path for image in again.claim(9)] == [b"0", b"2", b"3"]
    assert sum(map(again.put_back, again.rejections())) == 2
    assert [image.version.path for image in again.claim(9)] == [b"1", b"4"]
    assert column(tmp_path, "state")[-1] == "done"
    again.close()


def test_try_refused_now_frees_the_images_whose_sidecars_were_refused_and_no_others(
    journal: Journal,
) -> None:
    causes = ("sidecar: No space left on device", "sidecar name: taken", "unreadable")
    journal.record_waiting([version(cause) for cause in causes])
    journal.conclude(
        [Postponed(i, 60.0, 0, i.version.path.decode(), None) for i in journal.claim(9)]
    )
    assert journal.claim(9) == []
    journal.try_refused_now()
    assert [image.version.path.decode() for image in journal.claim(9)] == [causes[0]]


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


def test_gone_image_that_comes_back_is_unknown(journal: Journal) -> None:
    journal.record_waiting([version("a")])
    journal.conclude([Dropped(image, "gone") for image in journal.claim(9)])
    assert not journal.has_open_images()
    assert journal.record_waiting([version("a")]) == 1


def test_take_back_claims_after_a_crash_gives_interrupted_images_last_and_alone(
    journal: Journal, tmp_path: Path
) -> None:
    journal.record_waiting([version(str(n)) for n in range(4)])
    journal.claim(2)
    again = reopened(journal, tmp_path)
    assert again.claims() == [(1, b"0"), (1, b"1")]
    again.take_back_claims(is_interruption=True)
    assert again.claims() == []
    claims = [[image.version.path for image in again.claim(9)] for _ in range(3)]
    assert claims == [[b"2", b"3"], [b"0"], [b"1"]]
    again.close()


def test_released_images_come_last_and_alone(journal: Journal) -> None:
    journal.record_waiting([version(str(n)) for n in range(4)])
    journal.release(journal.claim(2), is_interruption=True)
    claims = [[image.version.path for image in journal.claim(9)] for _ in range(3)]
    assert claims == [[b"2", b"3"], [b"0"], [b"1"]]


def test_images_released_by_no_fault_of_theirs_come_as_before(journal: Journal) -> None:
    journal.record_waiting([version(str(n)) for n in range(4)])
    journal.release(journal.claim(2), is_interruption=False)
    assert [image.version.path for image in journal.claim(9)] == [b"0", b"1", b"2", b"3"]


def test_claims_taken_back_by_no_fault_of_theirs_are_not_counted(journal: Journal) -> None:
    journal.record_waiting([version("a")])
    journal.claim(1)
    journal.take_back_claims(is_interruption=False)
    assert journal.claim(1)[0].interruptions == 0


def test_take_back_claims_forgets_times_of_the_last_boot(journal: Journal, tmp_path: Path) -> None:
    journal.record_waiting([version("a")])
    journal.conclude([Postponed(i, 1e9, 1, "test", 5.0) for i in journal.claim(9)])
    again = reopened(journal, tmp_path)
    again.take_back_claims(is_interruption=True)
    (image,) = again.claim(9)
    assert (image.attempts, image.unfinished_since_s) == (1, None)
    again.close()


def test_conclude_that_fails_changes_nothing(journal: Journal, tmp_path: Path) -> None:
    journal.record_waiting([version("a"), version("b")])
    first, second = journal.claim(9)
    wrong = Finished(second, rejected(RejectReason.EMPTY, "", ImageFacts(sha256=object())))  # type: ignore[arg-type]
    with pytest.raises(sqlite3.ProgrammingError):
        journal.conclude([Finished(first, labelled("red")), wrong])
    assert column(tmp_path, "state") == ["claimed", "claimed"]
    journal.conclude([Finished(first, labelled("red"))])
    assert column(tmp_path, "state") == ["done", "claimed"]


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
        db.execute("PRAGMA user_version = 3")
    with pytest.raises(StorageError, match="version 3, this program reads 2"):
        open_journal(tmp_path)
    with pytest.raises(StorageError, match="version 3, this program reads 2"):
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
    (mode,) = journal._connection.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = journal._connection.execute("PRAGMA synchronous").fetchone()
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
