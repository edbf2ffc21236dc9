"""Tests for daemon.retention: on a real journal and real files, with a clock that is set."""

from __future__ import annotations

import errno
import os

import pytest

from daemon import retention as module
from daemon.image.records import Dropped, ImageVersion
from daemon.image.watch_folder import WatchFolder
from daemon.retention import DAY_S, Retention
from tests.daemon.retention.place import NOW_S, OLD_S, Place


def test_pass_deletes_old_outcomes_of_images_that_left_the_export_only(place: Place) -> None:
    place.add("S1/old-gone.jpg", "S1/old-there.jpg")
    place.add("S2/new-gone.jpg", "S2/new-there.jpg", at=NOW_S - 399 * DAY_S)
    place.remove("S1/old-gone.jpg", "S2/new-gone.jpg")
    assert place.retention().make_pass() == 1
    assert place.rows() == ["S1/old-there.jpg", "S2/new-gone.jpg", "S2/new-there.jpg"]
    assert place.unknown() == []


def test_pass_sees_by_an_image_of_any_ctime_that_the_folder_is_there(place: Place) -> None:
    place.add("stays.jpg", "gone.jpg")
    (place.export / "stays.jpg").chmod(0o600)
    place.remove("gone.jpg")
    assert place.retention().make_pass() == 1
    assert place.rows() == ["stays.jpg"]


def test_pass_deletes_earlier_outcomes_and_versions_that_never_had_one(place: Place) -> None:
    place.add("a.jpg")
    place.add("a.jpg", content=b"another image")
    place.add("b.jpg", at=NOW_S)
    version = ImageVersion(place.root.id, b"c.jpg", 1, 1)
    place.journal.record_waiting([version])
    (claimed,) = place.journal.claim(1)
    place.journal.conclude([Dropped(claimed, "gone")])
    place.age([claimed.id], OLD_S)
    assert place.retention().make_pass() == 2
    assert place.rows() == ["a.jpg", "b.jpg"]
    assert place.unknown() == []


def test_pass_never_touches_images_that_wait_or_are_in_hand(place: Place) -> None:
    place.add("there.jpg", at=NOW_S)
    for name in (b"waiting.jpg", b"claimed.jpg"):
        place.journal.record_waiting([ImageVersion(place.root.id, name, 1, 1)])
    (claimed,) = place.journal.claim(1)
    place.age([claimed.id, claimed.id + 1], OLD_S)
    assert place.retention().make_pass() == 0
    assert len(place.rows()) == 3


def test_pass_spares_an_image_that_was_put_back_while_the_page_was_looked_at(
    place: Place,
) -> None:
    place.add("there.jpg", "gone.jpg")
    place.remove("gone.jpg")
    _, old = place.journal.old_rows(0, NOW_S - 400 * DAY_S, 500)
    assert place.journal.retry_image(place.root.id, b"gone.jpg")
    assert place.journal.delete_old([row for row in old if row.path == b"gone.jpg"], NOW_S) == 0
    assert place.journal.count_open() == 1


def test_pass_deletes_nothing_while_the_share_is_away(place: Place) -> None:
    place.add("S1/a.jpg", "S1/b.jpg")
    mounted = place.export.rename(place.export.with_name("mounted"))
    assert place.retention().make_pass() == 0
    # The bare mount point: a folder that is there, and empty.
    place.export.mkdir()
    place.wall.now_s += DAY_S
    assert place.retention().make_pass() == 0
    # An image that somebody has put there meanwhile proves nothing.
    (place.export / "stray.jpg").write_bytes(b"x")
    place.wall.now_s += DAY_S
    assert place.retention().make_pass() == 0
    (place.export / "stray.jpg").unlink()
    place.export.rmdir()
    mounted.rename(place.export)
    assert place.unknown() == []


def test_pass_deletes_nothing_of_a_share_that_goes_away_within_a_page(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.add("S1/a.jpg", "S1/b.jpg", "S1/c.jpg")
    retention = place.retention()
    real_is_gone = WatchFolder.is_gone

    def is_gone(root: WatchFolder, path: bytes) -> bool:
        if path.endswith(b"b.jpg"):
            place.export.rename(place.export.with_name("mounted"))
            place.export.mkdir()
        return real_is_gone(root, path)

    monkeypatch.setattr(WatchFolder, "is_gone", is_gone)
    assert retention.make_pass() == 0
    assert len(place.rows()) == 3
    assert not any(place.export.iterdir())


@pytest.mark.parametrize("number", ["EIO", "ESTALE", "EACCES", "ENOTCONN", "ETIMEDOUT"])
def test_pass_takes_any_other_answer_for_an_image_that_is_there(
    place: Place, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    place.add("a.jpg", "b.jpg")

    def lstat(path: bytes) -> os.stat_result:
        raise OSError(getattr(errno, number), number, path)

    monkeypatch.setattr(module, "image_files", lambda *_: iter([place.root.look(b"a.jpg")]))
    with monkeypatch.context() as patch:
        patch.setattr(WatchFolder, "look", lambda *_: ImageVersion(1, b"a.jpg", 1, 1))
        patch.setattr(os, "lstat", lstat)
        patch.setattr(place.journal, "unknown", lambda _seen: [])
        assert place.retention().make_pass() == 0
    assert place.rows() == ["a.jpg", "b.jpg"]


def test_pass_keeps_rows_of_a_folder_that_is_no_longer_served(place: Place) -> None:
    place.add("a.jpg", "b.jpg")
    place.remove("b.jpg")
    other = Retention(
        place.journal, {}, place.state, 400, is_idle=lambda: True, wall_clock=place.wall
    )
    assert other.make_pass() == 0
    assert len(place.rows()) == 2


def test_pass_without_retention_days_deletes_nothing(place: Place) -> None:
    place.add("a.jpg", "b.jpg")
    place.remove("b.jpg")
    with place.retention(None).running():
        assert place.retention(None).make_pass() == 0
    assert len(place.rows()) == 2
