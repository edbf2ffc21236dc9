"""Disks that refuse: the daemon says so once, waits, and labels everything when they give way.

Full, read-only and failing file systems are real mounts. What only a device or a server can bring
about comes from tests.support.machine.faultfs or from a failpoint.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from daemon import service
from edge import failpoints
from edge.errors import StorageError
from edge.failpoints import FALLIBLE, VARIABLE
from edge.files.atomic import write_file, write_files
from edge.files.temporary import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from tests.support.digests import digests
from tests.support.images import Jpeg
from tests.support.machine import mounts
from tests.support.site import Site
from tests.support.waiting import until

ERRORS = ("ENOSPC", "EIO", "EROFS", "EMFILE", "ESTALE", "EDQUOT")
REFUSED, AGAIN = "sidecars cannot be written", "sidecars can be written again"


@pytest.fixture
def site(tmp_path: Path, small_bundle: Path) -> Site:
    (tmp_path / "export").mkdir()
    (tmp_path / "results").mkdir()
    settings = {
        "bundle": str(small_bundle),
        "backend": "onnxruntime",
        "precision": "int8",
        "watch": [{"folder": "export"}],
        "results": {"folder": "results"},
        "settle_s": 0.1,
        "rescan_s": 0.5,
        "poll": "never",  # the export is a folder of this machine, whatever its file system
        "state_dir": "state",
        "retry": {"attempts": 3, "first_delay_s": 0.02, "max_delay_s": 0.05},
    }
    return Site(tmp_path, settings)


@pytest.fixture(autouse=True)
def _short_waits(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    # A worker looks for images whose time has come every half second otherwise.
    monkeypatch.setattr(service, "_IDLE_S", 0.02)
    with caplog.at_level(logging.INFO, "daemon"):
        yield
    failpoints.arm_failpoints({})


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


# Real file systems.


def test_run_on_a_full_results_disk_waits_and_labels_all_when_there_is_room(
    site: Site, caplog: pytest.LogCaptureFixture, colour_jpeg: Jpeg
) -> None:
    with mounts.tmpfs(site.results, "size=256k") as disk:
        fault = (disk.fill, disk.make_room, os.strerror(errno.ENOSPC))
        assert_waits_and_goes_on(site, caplog, colour_jpeg, fault)


def test_run_on_a_full_disk_labels_a_whole_backlog_soon_after_there_is_room(
    site: Site, caplog: pytest.LogCaptureFixture, colour_jpeg: Jpeg
) -> None:
    # As configured by default: the longest delay is longer than the test waits.
    site.settings["retry"] = {"first_delay_s": 0.1}
    names = [f"S{number % 7}/{number}.jpg" for number in range(60)]
    with mounts.tmpfs(site.results, "size=512k") as disk, site.running():
        disk.fill()
        for name in names:
            site.add(name, colour_jpeg("red"))
        why = os.strerror(errno.ENOSPC)
        until(lambda: all(is_waiting(site, name, why) for name in names), timeout_s=30.0)
        before = digests(site.export)
        disk.make_room()
        until(lambda: are_done(site, *names), timeout_s=30.0)
        until(lambda: times_said(caplog, AGAIN) > 0)
        assert_all_labelled(site, dict.fromkeys(names, "red"), before)
    assert (times_said(caplog, REFUSED), times_said(caplog, AGAIN)) == (1, 1)


def test_run_on_a_full_ext4_waits_and_labels_all_when_there_is_room(
    site: Site, caplog: pytest.LogCaptureFixture, colour_jpeg: Jpeg
) -> None:
    with mounts.ext4(site.results, size_mb=4) as disk:
        (disk.folder / "lost+found").rmdir()
        fault = (disk.fill, disk.make_room, os.strerror(errno.ENOSPC))
        assert_waits_and_goes_on(site, caplog, colour_jpeg, fault)


def test_run_on_a_results_disk_without_inodes_waits_and_labels_all_when_there_are_some(
    site: Site, caplog: pytest.LogCaptureFixture, colour_jpeg: Jpeg
) -> None:
    with mounts.tmpfs(site.results, "size=1m,nr_inodes=6") as disk:
        # Its own folder, S0, and the two sidecars there take all four.
        fault = (
            lambda: None,
            lambda: disk.remount("nr_inodes=100"),
            os.strerror(errno.ENOSPC),
        )
        with suppress(OSError):
            (disk.folder / "S0").mkdir()
        assert_waits_and_goes_on(site, caplog, colour_jpeg, fault)


def test_run_on_a_results_disk_turned_read_only_waits_and_labels_all_when_it_is_writable(
    site: Site, caplog: pytest.LogCaptureFixture, colour_jpeg: Jpeg
) -> None:
    with mounts.tmpfs(site.results, "size=1m") as disk:
        fault = (
            lambda: disk.remount("ro"),
            lambda: disk.remount("rw"),
            os.strerror(errno.EROFS),
        )
        assert_waits_and_goes_on(site, caplog, colour_jpeg, fault)


def test_once_on_a_full_results_disk_ends_with_6_and_the_next_labels_all(
    site: Site, colour_jpeg: Jpeg
) -> None:
    with mounts.tmpfs(site.results, "size=256k") as disk:
        disk.fill()
        site.add("a.jpg", colour_jpeg("red"))
        before = digests(site.export)
        process = site.start("once")
        _, errors = process.communicate(timeout=30)
        assert process.returncode == StorageError.exit_code, errors
        assert "No space left" in errors.splitlines()[-1]
        assert not site.has_sidecar("a.jpg")
        disk.make_room()
        process = site.start("once")
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
        assert_all_labelled(site, {"a.jpg": "red"}, before)


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


# Too many open files.


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


# The power is cut.


def test_write_files_before_a_power_cut_are_whole_after_it(tmp_path: Path) -> None:
    with mounts.ext4(tmp_path / "disk") as disk:
        contents = {f"{number}.json": os.urandom(3000) for number in range(40)}
        write_files([(disk.folder / name, content) for name, content in contents.items()])
        write_file(disk.folder / "0.json", b"replaced")
        contents["0.json"] = b"replaced"
        (disk.folder / "by itself").write_bytes(b"x" * 3000)
        disk.cut_power()
        with pytest.raises(StorageError, match=os.strerror(errno.EIO)):
            write_file(disk.folder / "late.json", b"late")
        disk.restart()
        found = {path.name: path.read_bytes() for path in disk.folder.glob("*.json")}
        assert found == contents
        # The cut was real: what nobody synchronised is not there.
        assert not (disk.folder / "by itself").exists()
        write_file(disk.folder / "late.json", b"late")
        assert (disk.folder / "late.json").read_bytes() == b"late"


def test_run_whose_results_disk_loses_power_keeps_every_marked_sidecar_and_labels_the_rest(
    site: Site, caplog: pytest.LogCaptureFixture, colour_jpeg: Jpeg
) -> None:
    site.settings["batch"] = {"max_images": 2}
    names = [f"S{number % 5}/{number}.jpg" for number in range(80)]
    for name in names:
        site.add(name, colour_jpeg("red"))
    before = digests(site.export)
    with mounts.ext4(site.results) as disk:
        with site.running():
            until(lambda: sum(row[0] == "done" for row in site.outcomes().values()) >= 10)
            disk.cut_power()
            until(lambda: times_said(caplog, REFUSED) > 0)
            marked = [name for name, row in site.outcomes().items() if row[0] == "done"]
            assert 10 <= len(marked) < len(names)
            disk.restart()
            for name in marked:
                assert site.sidecar(name)["label"] == "red"
            until(lambda: are_done(site, *names))
        # A temporary file that the cut made durable is the only thing it may leave behind.
        for path in site.results.rglob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
            path.unlink()
        assert_all_labelled(site, dict.fromkeys(names, "red"), before)
    assert (times_said(caplog, REFUSED), times_said(caplog, AGAIN)) == (1, 1)
