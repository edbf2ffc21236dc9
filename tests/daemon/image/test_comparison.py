"""Tests for daemon.image.comparison: results are not issued again for bytes that did not change."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon.image.comparison import Comparison
from daemon.image.records import ClaimedImage, ImageVersion, PastOutcome, Postponed
from daemon.image.watch_folder import WatchFolder, names_regex
from edge.errors import RejectReason, StorageError
from edge.image_files.limits import ImageLimits
from edge.image_files.read import read_file
from edge.labeller import ImageFacts, rejected
from edge.status import Status
from tests.daemon.image.rows import counts, once, row
from tests.support.digests import digests
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

HOUR_NS = 3600 * 10**9


def shift(path: Path, by_ns: int) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + by_ns))


def change_permissions(path: Path) -> None:
    path.chmod(0o640)


def shift_an_hour(path: Path) -> None:
    """As an old file server does when summer time begins."""
    shift(path, HOUR_NS)


def copy_back(path: Path) -> None:
    """As a person does who restores an export."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    shift(path, -HOUR_NS)


CHANGES = [change_permissions, shift_an_hour, copy_back]


@pytest.mark.parametrize("change", CHANGES)
def test_once_image_whose_times_alone_changed_keeps_its_results(
    site: Site, colour_jpeg: Jpeg, change: Callable[[Path], None]
) -> None:
    paths = [site.add(f"S1/1/{n}.jpg", colour_jpeg("red", seed=n)) for n in range(3)]
    assert counts(once(site)) == {"labelled": 3}
    before = digests(site.results / "S1")
    for path in paths:
        change(path)
    assert counts(once(site)) == {"unchanged": 3}
    assert digests(site.results / "S1") == before
    assert set(site.outcomes().values()) == {("done", "labelled", "red", None)}
    # The journal knows the new times.
    assert counts(once(site)) == {}


def test_run_image_whose_times_alone_changed_keeps_its_results(
    site: Site, colour_jpeg: Jpeg
) -> None:
    site.settings["rescan_s"] = 0.2
    path = site.add("S1/1/a.jpg", colour_jpeg("red"))
    with site.running():
        until(lambda: row(site, "state") == "done")
        before = digests(site.results / "S1")
        shift_an_hour(path)
        until(lambda: row(site, "mtime_ns, state") == (path.stat().st_mtime_ns, "done"))
    assert digests(site.results / "S1") == before


def test_once_image_whose_times_changed_and_whose_sidecar_is_gone_gets_it_again(
    site: Site, colour_jpeg: Jpeg
) -> None:
    path = site.add("S1/1/a.jpg", colour_jpeg("red"))
    once(site)
    (site.results / "S1/1/a.jpg.csv").unlink()
    shift_an_hour(path)
    assert counts(once(site)) == {"labelled": 1}
    assert site.sidecar("S1/1/a.jpg")["label"] == "red"


def test_once_other_bytes_of_the_same_size_are_labelled_and_both_outcomes_kept(
    site: Site, colour_jpeg: Jpeg
) -> None:
    red, blue = colour_jpeg("red"), colour_jpeg("blue")
    size = max(len(red), len(blue))
    path = site.add("S1/1/a.jpg", red.ljust(size, b"\0"))
    once(site)
    path.write_bytes(blue.ljust(size, b"\0"))
    shift(path, -HOUR_NS)
    assert counts(once(site)) == {"labelled": 1}
    with closing(sqlite3.connect(site.folder / "state" / "journal.sqlite3")) as db:
        rows = db.execute("SELECT state, label, is_current FROM image ORDER BY id").fetchall()
    assert rows == [("done", "red", 0), ("done", "blue", 1)]
    assert site.sidecar("S1/1/a.jpg")["label"] == "blue"


def test_once_rejected_image_whose_times_changed_is_not_rejected_again(
    site: Site, colour_jpeg: Jpeg
) -> None:
    path = site.add("S1/1/a.jpg", colour_jpeg("red")[:500])
    assert counts(once(site)) == {"rejected": 1}
    before = digests(site.results / "S1")
    path.chmod(0o640)
    assert counts(once(site)) == {"unchanged": 1}
    assert digests(site.results / "S1") == before


@pytest.mark.usefixtures("_no_superuser")
def test_once_image_that_may_not_be_read_any_more_keeps_its_label(
    site: Site, colour_jpeg: Jpeg
) -> None:
    path = site.add("S1/1/a.jpg", colour_jpeg("red"))
    once(site)
    before = digests(site.results / "S1")
    path.chmod(0)
    assert counts(once(site)) == {"unchanged": 1}
    assert site.outcomes()["S1/1/a.jpg"] == ("done", "labelled", "red", None)
    assert digests(site.results / "S1") == before


def test_run_image_that_leaves_before_it_is_compared_keeps_its_label(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.settings["rescan_s"] = 0.2
    path = site.add("S1/1/a.jpg", colour_jpeg("red"))
    once(site)

    def gone_by_now(*arguments: Any) -> Any:
        path.unlink(missing_ok=True)
        return read_file(*arguments)

    monkeypatch.setattr("daemon.image.comparison.read_file", gone_by_now)
    shift_an_hour(path)
    with site.running():
        until(lambda: not path.exists() and row(site, "state") == "done")
    assert site.outcomes()["S1/1/a.jpg"] == ("done", "labelled", "red", None)
    assert site.has_sidecar("S1/1/a.jpg")


def test_run_image_is_compared_when_the_results_folder_is_back(
    site: Site, colour_jpeg: Jpeg
) -> None:
    site.settings["rescan_s"] = 0.2
    path = site.add("S1/1/a.jpg", colour_jpeg("red"))
    with site.running():
        until(lambda: row(site, "state") == "done")
        before = digests(site.results / "S1")
        away = site.results.rename(site.folder / "away")
        shift_an_hour(path)
        until(lambda: "away" in (row(site, "cause") or ""))
        away.rename(site.results)
        until(lambda: row(site, "state") == "done")
    assert row(site, "mtime_ns") == path.stat().st_mtime_ns
    assert digests(site.results / "S1") == before


def test_error_without_a_reason_of_the_system_is_named_by_its_type(tmp_path: Path) -> None:
    def fail(_target: Path) -> bool:
        raise StorageError("the share is away") from OSError("no number")

    folder = WatchFolder(1, tmp_path, tmp_path, names_regex(("*.jpg",)))
    past = PastOutcome(Status.REJECTED, "empty", None)
    image = ClaimedImage(1, ImageVersion(1, b"a.jpg", 0, 0), past_outcome=past)
    outcome = rejected(RejectReason.EMPTY, "the file is empty", ImageFacts())
    found = Comparison({1: folder}, ImageLimits(), fail, 2.0).of_outcome(image, outcome)
    assert found == Postponed(image, 2.0, 0, "sidecar: StorageError")
