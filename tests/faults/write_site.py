"""A site whose disks fail, and what must become of its images."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress

import pytest

from edge.files.temporary import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from tests.support.digests import digests
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

ERRORS = ("ENOSPC", "EIO", "EROFS", "EMFILE", "ESTALE", "EDQUOT")


REFUSED, AGAIN = "sidecars cannot be written", "sidecars can be written again"


def times_said(caplog: pytest.LogCaptureFixture, text: str) -> int:
    return sum(text in record.getMessage() for record in caplog.records)


def is_waiting(site: Site, name: str, why: str) -> bool:
    return site.outcomes().get(name) == ("waiting", None, None, f"sidecar: {why}")


def are_done(site: Site, *names: str) -> bool:
    with suppress(sqlite3.OperationalError):  # the first start has not made it yet
        outcomes = site.outcomes()
        return all(name in outcomes and outcomes[name][0] == "done" for name in names)
    return False


def assert_all_labelled(site: Site, colours: dict[str, str], before: dict[str, str]) -> None:
    """Every image has whole sidecars and one outcome, its bytes are the same, nothing is left."""
    for name, colour in colours.items():
        assert site.sidecar(name)["label"] == colour
        assert site.outcomes()[name] == ("done", "labelled", colour, None)
    assert digests(site.export) == before
    assert list(site.results.rglob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}")) == []


def assert_waits_and_goes_on(
    site: Site,
    caplog: pytest.LogCaptureFixture,
    jpeg: Jpeg,
    fault: tuple[Callable[[], None], Callable[[], None], str],
) -> None:
    fail, mend, why = fault
    site.add("S0/before.jpg", jpeg("green"))
    with site.running():
        until(lambda: site.has_sidecar("S0/before.jpg"))
        fail()
        for name, colour in (("S0/a.jpg", "red"), ("S0/b.jpg", "blue"), ("S1/c.jpg", "red")):
            site.add(name, jpeg(colour))
        waiting = ("S0/a.jpg", "S0/b.jpg", "S1/c.jpg")
        until(lambda: all(is_waiting(site, name, why) for name in waiting))
        with suppress(OSError):  # a place that is away does not even answer
            assert not any(site.has_sidecar(name) for name in waiting)
        before = digests(site.export)
        mend()
        until(lambda: are_done(site, *waiting))
        until(lambda: times_said(caplog, AGAIN) > 0)
    colours = {"S0/before.jpg": "green", "S0/a.jpg": "red", "S0/b.jpg": "blue", "S1/c.jpg": "red"}
    assert_all_labelled(site, colours, before)
    assert (times_said(caplog, REFUSED), times_said(caplog, AGAIN)) == (1, 1)
