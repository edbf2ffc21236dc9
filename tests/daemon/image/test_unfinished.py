"""Tests for images that were looked at before they were whole, and are looked at again."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.image.watch_folder import WatchFolder
from tests.daemon.image.rows import counts, once, row
from tests.support.digests import digests
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


def test_once_share_that_gives_another_ctime_at_each_look_is_not_read_at_each_look(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    from daemon.image.watch_folder import WatchFolder

    version = WatchFolder.version

    def restless(root: WatchFolder, path: bytes, status: os.stat_result) -> Any:
        seen = version(root, path, status)
        return type(seen)(seen.folder_id, seen.path, seen.size_bytes, seen.mtime_ns, time.time_ns())

    monkeypatch.setattr(WatchFolder, "version", restless)
    site.add("S1/1/a.jpg", colour_jpeg("red"))
    assert counts(once(site)) == {"labelled": 1}
    assert counts(once(site)) == {"unchanged": 1}
    assert counts(once(site)) == {}
    # Not for ever: when the time of doubt is over it is read once more.
    moment = time.time() + 61
    monkeypatch.setattr("daemon.journal.journal.time.time", lambda: moment)
    assert counts(once(site)) == {"unchanged": 1}
    assert row(site, "false_alarms") == 2


def test_run_copy_that_stalls_and_ends_with_the_same_size_and_time_is_labelled(
    site: Site, colour_jpeg: Jpeg
) -> None:
    """https://github.com/papra-hq/papra/issues/1168: robocopy sets size and time at once."""
    whole, moment = colour_jpeg("green"), time.time() - 3600
    path = site.export / "a.jpg"
    with site.running():
        with path.open("wb") as file:
            file.truncate(len(whole))
            file.write(whole[:700])
            file.flush()
            os.utime(path, (moment, moment))
            until(lambda: site.has_sidecar("a.jpg"))
            assert site.sidecar("a.jpg")["reason"] == "truncated"
            status = path.stat()
            file.write(whole[700:])
            file.flush()
            os.utime(path, (moment, moment))
        until(lambda: site.outcomes()["a.jpg"] == ("done", "labelled", "green", None))
    assert (path.stat().st_size, path.stat().st_mtime) == (status.st_size, status.st_mtime)
    assert site.sidecar("a.jpg")["label"] == "green"


def without_ctime(monkeypatch: pytest.MonkeyPatch) -> None:
    """As sshfs, exFAT and others are: no time tells of a change that is not to be seen."""
    from daemon.image.watch_folder import WatchFolder

    version = WatchFolder.version

    def timeless(root: WatchFolder, path: bytes, status: os.stat_result) -> Any:
        seen = version(root, path, status)
        return type(seen)(seen.folder_id, seen.path, seen.size_bytes, seen.mtime_ns, seen.mtime_ns)

    monkeypatch.setattr(WatchFolder, "version", timeless)


def unfinished(site: Site, whole: bytes) -> Path:
    return Path(site.add("S1/1/a.jpg", whole[:700].ljust(len(whole), b"\0")))


def finish(path: Path, whole: bytes) -> None:
    status = path.stat()
    path.write_bytes(whole)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_once_unfinished_image_on_a_share_without_ctime_is_found_whole_by_a_later_look(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_ctime(monkeypatch)
    whole, begun = colour_jpeg("green"), time.time()
    path = unfinished(site, whole)
    assert counts(once(site)) == {"rejected": 1}
    before = digests(site.results / "S1")
    assert counts(once(site)) == {}
    moment = begun + 62
    monkeypatch.setattr("daemon.second_looks.time.time", lambda: moment)
    # As it was: its sidecar stays, and it is no outcome more.
    assert counts(once(site)) == {"unchanged": 1}
    assert digests(site.results / "S1") == before
    assert counts(once(site)) == {}
    finish(path, whole)
    moment += 200
    assert counts(once(site)) == {"labelled": 1}
    assert site.sidecar("S1/1/a.jpg")["label"] == "green"
    assert row(site, "next_look_at") is None


def test_run_looks_again_at_unfinished_images_by_itself(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_ctime(monkeypatch)
    monkeypatch.setattr("daemon.journal.changes._FIRST_LOOK_S", 0.5)
    site.settings["poll"] = "always"
    whole = colour_jpeg("green")
    path = unfinished(site, whole)
    with site.running():
        until(lambda: site.has_sidecar("S1/1/a.jpg"))
        finish(path, whole)
        until(lambda: site.outcomes()["S1/1/a.jpg"] == ("done", "labelled", "green", None))
    assert site.sidecar("S1/1/a.jpg")["label"] == "green"


def test_once_image_that_is_no_unfinished_copy_gets_no_look(site: Site, colour_jpeg: Jpeg) -> None:
    site.add("S1/1/a.jpg", colour_jpeg("red", side_px=16))
    once(site)
    assert row(site, "reason, next_look_at") == ("too_small", None)


def test_once_image_that_left_keeps_its_rejection_and_gets_no_more_looks(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = unfinished(site, colour_jpeg("green"))
    once(site)
    shutil.rmtree(path.parent)
    monkeypatch.setattr("daemon.second_looks.time.time", lambda: time.monotonic() + 2e9)
    once(site)
    assert row(site, "state, status, next_look_at") == ("done", "rejected", None)
