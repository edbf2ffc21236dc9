"""Disks that refuse: the daemon says so once, waits, and labels everything when they give way.

Full, read-only and failing file systems are real mounts. What only a device or a server can bring
about comes from tests.support.machine.faultfs or from a failpoint.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from edge.errors import StorageError
from edge.files.atomic import write_file, write_files
from edge.files.temporary import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from tests.faults.write_site import (
    AGAIN,
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

# Real file systems.


pytestmark = pytest.mark.usefixtures("_short_waits")


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
        until(
            lambda: all(is_waiting(site, name, why) for name in names), timeout_s=30.0, poll_s=0.1
        )
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
