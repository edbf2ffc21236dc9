"""Tests for daemon.journal.journal: on a real database, also one that is damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from daemon.image.records import Dropped, Finished, Postponed
from daemon.journal.file import NAME
from daemon.journal.journal import Journal
from edge.errors import RejectReason
from edge.labeller import ImageFacts, rejected
from tests.daemon.journal.images import Clock, labelled, reopened, version


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
