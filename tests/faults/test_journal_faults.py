"""A journal's disk that fails, is full or has no descriptor left: no image is lost."""

from __future__ import annotations

import errno
import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edge.errors import StorageError
from edge.failpoints import VARIABLE
from tests.faults.write_site import ERRORS, are_done, assert_all_labelled
from tests.support.digests import digests
from tests.support.images import Jpeg
from tests.support.machine import mounts
from tests.support.site import Site
from tests.support.waiting import until

# Too many open files.


pytestmark = pytest.mark.usefixtures("_short_waits")


def test_run_without_a_free_descriptor_rejects_no_image_and_labels_it_when_there_is_one(
    site: Site, colour_jpeg: Jpeg
) -> None:
    site.add("before.jpg", colour_jpeg("green"))
    with kept_daemon(site) as daemon:
        until(lambda: site.has_sidecar("before.jpg"))
        _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        # All numbers below are taken: every open fails with EMFILE.
        limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (4, hard))
        site.add("a.jpg", colour_jpeg("red"))
        before = digests(site.export)
        # Gives the fault its chance: three attempts, with which an image is given up, take a tenth
        # of a second here. Nothing tells from outside that an open has failed.
        time.sleep(1.0)
        assert not site.has_sidecar("a.jpg")
        assert site.outcomes().get("a.jpg", ("waiting",))[0] in {"waiting", "claimed"}
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
        until(lambda: daemon.keeps() and are_done(site, "a.jpg"))
    assert_all_labelled(site, {"before.jpg": "green", "a.jpg": "red"}, before)
    assert set(daemon.exit_codes) <= {StorageError.exit_code}
    assert os.strerror(errno.EMFILE) in daemon.errors


# The journal.


class KeptDaemon:
    """A daemon that is started again when it ends, as systemd does it."""

    def __init__(self, site: Site) -> None:
        self.exit_codes: list[int] = []
        self.errors = ""
        self._site = site
        self._process = site.start("run")

    @property
    def pid(self) -> int:
        return self._process.pid

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def keeps(self) -> bool:
        """Start it again where it has ended; always true, for conditions."""
        if self.has_ended():
            self._bury()
            self._process = self._site.start("run")
        return True

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._bury()
        assert self.exit_codes.pop() == 0, self.errors

    def kill(self) -> None:
        if not self.has_ended():
            self._process.kill()
            self._process.communicate()

    def _bury(self) -> None:
        _, errors = self._process.communicate(timeout=20)
        self.errors += errors
        self.exit_codes.append(self._process.returncode)


@contextmanager
def kept_daemon(site: Site) -> Iterator[KeptDaemon]:
    daemon = KeptDaemon(site)
    try:
        yield daemon
        daemon.stop()
    finally:
        daemon.kill()


def wait_for_end(daemon: KeptDaemon, longest_s: float = 0.8) -> None:
    """Until it has ended; one that lives with the fault gets some time with it."""
    end_s = time.monotonic() + longest_s
    while not daemon.has_ended() and time.monotonic() < end_s:
        time.sleep(0.01)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("step", ["write", "fsync"])
def test_journal_that_fails_loses_no_image(
    site: Site, colour_jpeg: Jpeg, step: str, error: str
) -> None:
    if (step, error) not in JOURNAL_SHORT and not os.environ.get("EDGE_ALL_FAULTS"):
        pytest.skip("one of the long list: EDGE_ALL_FAULTS=1 pytest tests/faults")
    site.add("before.jpg", colour_jpeg("green"))
    with mounts.faultfs(site.folder / "state") as disk, kept_daemon(site) as daemon:
        until(lambda: site.has_sidecar("before.jpg"))
        disk.fail({"op": step, "error": error, "path": "/journal*"})
        site.add("a.jpg", colour_jpeg("red"))
        before = digests(site.export)
        wait_for_end(daemon)
        if step == "write":
            assert not site.has_sidecar("a.jpg")
        else:
            # What is recorded or claimed is not synchronised; an outcome is.
            assert site.outcomes().get("a.jpg", ("unknown",))[0] != "done"
        disk.fail()
        until(lambda: daemon.keeps() and are_done(site, "a.jpg"))
        assert_all_labelled(site, {"before.jpg": "green", "a.jpg": "red"}, before)
    assert set(daemon.exit_codes) <= {StorageError.exit_code}
    assert "journal" in daemon.errors


JOURNAL_SHORT = {("write", "ENOSPC"), ("fsync", "EIO")}


def test_journal_on_a_full_disk_loses_no_image(site: Site, colour_jpeg: Jpeg) -> None:
    site.add("before.jpg", colour_jpeg("green"))
    with mounts.tmpfs(site.folder / "state", "size=1m") as disk, kept_daemon(site) as daemon:
        until(lambda: site.has_sidecar("before.jpg"))
        disk.fill()
        names = [f"{number}.jpg" for number in range(60)]
        for name in names:
            site.add(name, colour_jpeg("red"))
        before = digests(site.export)
        wait_for_end(daemon)
        disk.make_room()
        until(lambda: daemon.keeps() and are_done(site, *names))
        assert_all_labelled(site, dict.fromkeys(names, "red"), before)
    assert set(daemon.exit_codes) <= {StorageError.exit_code}
    assert "journal" in daemon.errors


@pytest.mark.parametrize("point", ["record", "claim", "mark"])
def test_journal_that_refuses_a_commit_loses_no_image(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    site.add("a.jpg", colour_jpeg("red"))
    before = digests(site.export)
    with monkeypatch.context() as armed:
        armed.setenv(VARIABLE, f"{point}.before_commit=EIO@1")
        daemon = KeptDaemon(site)
    try:
        until(lambda: daemon.keeps() and are_done(site, "a.jpg"))
        daemon.stop()
    finally:
        daemon.kill()
    assert_all_labelled(site, {"a.jpg": "red"}, before)
    assert set(daemon.exit_codes) <= {StorageError.exit_code}
    assert "Input/output error" in daemon.errors
