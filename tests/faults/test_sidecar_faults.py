"""Each step of writing a sidecar fails once, or until the fault is mended."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from unittest.mock import Mock

import pytest

from edge import failpoints
from edge.failpoints import FALLIBLE, VARIABLE
from tests.faults.write_site import (
    AGAIN,
    ERRORS,
    REFUSED,
    are_done,
    assert_all_labelled,
    assert_waits_and_goes_on,
    is_waiting,
    times_said,
)
from tests.support.digests import digests
from tests.support.images import Jpeg
from tests.support.machine import mounts
from tests.support.site import Site
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("_short_waits")


def is_whole(site: Site, name: str) -> bool:
    """Whether both sidecars are whole. FUSE may miss a name that is just being replaced."""
    try:
        return bool(site.sidecar(name))
    except FileNotFoundError:
        return False


# Every step of a sidecar, every error.

STEPS = ("mkdir", "create", "write", "flush", "fsync", "rename", "fsyncdir")


@pytest.mark.parametrize("step", STEPS)
def test_run_whose_sidecar_step_fails_waits_and_labels_the_image_afterwards(
    site: Site, caplog: pytest.LogCaptureFixture, colour_jpeg: Jpeg, step: str
) -> None:
    colours = {}
    with mounts.faultfs(site.results) as disk, site.running():
        for number, error in enumerate(ERRORS, start=1):
            name = f"S{number}/a.jpg"
            colours[name] = ("red", "green", "blue")[number % 3]
            disk.fail({"op": step, "error": error, "path": "/S*"})
            site.add(name, colour_jpeg(colours[name]))
            why = os.strerror(getattr(errno, error))
            until(lambda name=name, why=why: is_waiting(site, name, why))  # type: ignore[misc]
            if step == "fsyncdir":
                # The name is there before it is durable, and whole.
                until(lambda name=name: is_whole(site, name))  # type: ignore[misc]
            else:
                assert not site.has_sidecar(name)
            disk.fail()
            until(lambda name=name: are_done(site, name))  # type: ignore[misc]
            until(lambda number=number: times_said(caplog, AGAIN) == number)  # type: ignore[misc]
        before = digests(site.export)
        assert_all_labelled(site, colours, before)
    assert times_said(caplog, REFUSED) == len(ERRORS)


def test_run_whose_old_sidecar_cannot_be_read_waits_and_replaces_it_afterwards(
    site: Site, caplog: pytest.LogCaptureFixture, colour_jpeg: Jpeg
) -> None:
    with mounts.faultfs(site.results) as disk, site.running():
        site.add("S1/a.jpg", colour_jpeg("red"), age_s=90.0)
        until(lambda: are_done(site, "S1/a.jpg"))
        for number, error in enumerate(ERRORS, start=1):
            colour, before = (("red", "green", "blue")[i % 3] for i in (number, number - 1))
            disk.fail({"op": "open", "error": error, "path": "/S*"})
            site.add("S1/a.jpg", colour_jpeg(colour), age_s=60.0 - number)
            why = os.strerror(getattr(errno, error))
            until(lambda why=why: is_waiting(site, "S1/a.jpg", why))  # type: ignore[misc]
            disk.fail()
            until(lambda: are_done(site, "S1/a.jpg"))
            assert (site.sidecar("S1/a.jpg")["label"], before != colour) == (colour, True)
            until(lambda number=number: times_said(caplog, AGAIN) == number)  # type: ignore[misc]
        assert_all_labelled(site, {"S1/a.jpg": "red"}, digests(site.export))
    assert times_said(caplog, REFUSED) == len(ERRORS)


def test_run_whose_json_cannot_be_renamed_after_its_csv_labels_the_image_afterwards(
    site: Site, caplog: pytest.LogCaptureFixture, colour_jpeg: Jpeg
) -> None:
    with mounts.faultfs(site.results) as disk, site.running():
        disk.fail({"op": "rename", "error": "EIO", "after": 1})
        site.add("a.jpg", colour_jpeg("red"))
        until(lambda: is_waiting(site, "a.jpg", os.strerror(errno.EIO)))
        assert (site.results / "a.jpg.csv").read_text().count("\n") == 2
        assert not site.has_sidecar("a.jpg")
        disk.fail()
        until(lambda: are_done(site, "a.jpg"))
        assert_all_labelled(site, {"a.jpg": "red"}, digests(site.export))
    assert times_said(caplog, REFUSED) == 1


def test_run_whose_results_share_gives_stale_handles_waits_and_labels_all_afterwards(
    site: Site, caplog: pytest.LogCaptureFixture, colour_jpeg: Jpeg
) -> None:
    with mounts.faultfs(site.results) as disk:
        fault = (
            lambda: disk.fail({"op": "getattr", "error": "ESTALE"}),
            disk.fail,
            "the results folder is away",
        )
        assert_waits_and_goes_on(site, caplog, colour_jpeg, fault)


def test_run_survives_an_error_of_a_call_that_names_no_step(
    site: Site,
    caplog: pytest.LogCaptureFixture,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with site.running():
        with monkeypatch.context() as patch:
            error = OSError(errno.EIO, os.strerror(errno.EIO))
            patch.setattr("daemon.results.writer.write_sidecars", Mock(side_effect=error))
            site.add("S0/a.jpg", colour_jpeg("red"))
            until(lambda: is_waiting(site, "S0/a.jpg", os.strerror(errno.EIO)))
        until(lambda: are_done(site, "S0/a.jpg"))
        until(lambda: times_said(caplog, AGAIN) > 0)
    assert_all_labelled(site, {"S0/a.jpg": "red"}, digests(site.export))
    assert times_said(caplog, REFUSED) == 1


@pytest.mark.parametrize("error", ERRORS)
def test_run_with_a_failure_at_every_sidecar_failpoint_labels_the_image_in_the_end(
    site: Site,
    caplog: pytest.LogCaptureFixture,
    colour_jpeg: Jpeg,
    error: str,
) -> None:
    points = [name for name in FALLIBLE if name.startswith(("folder.", "file."))]
    site.add("warm-up.jpg", colour_jpeg("green"))
    with site.running():
        until(lambda: are_done(site, "warm-up.jpg"))
        # Now that the start has written its files, which pass these points too.
        failpoints.arm_failpoints({VARIABLE: ",".join(f"{name}={error}@1" for name in points)})
        site.add("S1/a.jpg", colour_jpeg("red"))
        before = digests(site.export)
        until(lambda: are_done(site, "S1/a.jpg"))
        passes = failpoints.passes()
        until(lambda: times_said(caplog, AGAIN) == 1)
    # Each failed once and was passed once more, but for the folder, which was made.
    assert {name for name in points if passes[name] < 2} == {"folder.made"}
    with closing(sqlite3.connect(site.folder / "state" / "journal.sqlite3")) as db:
        # It is the disk that failed so often, not the image.
        assert db.execute("SELECT max(attempts) FROM image").fetchone() == (0,)
    assert_all_labelled(site, {"warm-up.jpg": "green", "S1/a.jpg": "red"}, before)
    assert times_said(caplog, REFUSED) == 1
