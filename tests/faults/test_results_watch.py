"""`edge-results send --watch` while its folders, its clock and its disk misbehave."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.machine.mounts import tmpfs
from tests.support.waiting import until
from tests.support.watched_site import WatchedSite

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
MANIFEST = "path,sample_id,slide_id,cells\n"


@pytest.fixture
def site(tmp_path: Path) -> WatchedSite:
    return WatchedSite(tmp_path)


def test_watched_folders_that_vanish_are_waited_for_and_nothing_is_issued_meanwhile(
    site: WatchedSite,
) -> None:
    site.settings["slides"] = {"quiet_s": 0.5}
    site.slide("S1")
    aside = site.folder / "aside"
    with site.watching():
        until(lambda: site.sent() == ["S1"])
        for folder in (site.export, site.results):
            folder.rename(aside)
            site.await_log(f"{folder} cannot be read (No such file or directory)")
            aside.rename(folder)
            site.await_again()
        site.slide("S2")
        until(lambda: site.sent() == ["S1", "S2"])
    assert site.log.count("cannot be read") == site.log.count("can be read again") == 2
    assert "S1" not in site.log


def test_share_of_the_images_that_is_away_lets_no_unfinished_slide_pass(site: WatchedSite) -> None:
    # The manifest names three images; the share that has it goes while one is labelled.
    site.settings["slides"] = {"quiet_s": 0, "marker": None}
    manifest = MANIFEST + "".join(f"S1/{n}.jpg,S1,1,3\n" for n in range(3))
    with tmpfs(site.export, "size=1m") as share:
        site.slide("S1", 1)
        (site.export / "manifest.csv").write_text(manifest)
        with site.watching():
            site.slide("S0")
            until(lambda: site.sent() == ["S0"])
            subprocess.run(["umount", "-l", str(share.folder)], check=True)
            site.await_log(f"{site.export} was on tmpfs mounted at {site.export} and is now on ")
            assert site.sent() == ["S0"]
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(share.folder)], check=True)
            (site.export / "manifest.csv").write_text(manifest)
            site.await_log("sidecars can be read again")
            site.slide("S1", 3)
            until(lambda: site.sent() == ["S0", "S1"])


def test_read_only_tree_of_sidecars_is_read(site: WatchedSite) -> None:
    with tmpfs(site.results, "size=1m") as tree:
        site.slide("S1")
        tree.remount("ro")
        with site.watching():
            until(lambda: site.sent() == ["S1"])


def test_clock_that_jumps_holds_slides_with_a_line_until_it_is_right_and_loses_none(
    site: WatchedSite,
) -> None:
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not installed")
    clock = site.folder / "clock"
    clock.write_text("+0")
    environment = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
        # As under systemd: the library makes time.sleep fail, in which a real jump changes nothing.
        "NOTIFY_SOCKET": str(site.folder / "nobody"),
    }

    def jump(offset: str) -> None:
        (site.folder / "next").write_text(offset)
        (site.folder / "next").rename(clock)

    site.settings["slides"] = {"quiet_s": 0.2}
    with site.watching(environment):
        site.slide("S1")
        until(lambda: site.sent() == ["S1"])
        jump("-1000d")
        site.slide("S2")
        site.await_log("slide held: a cell was labelled in the future; set the clocks")
        jump("+1d")
        site.slide("S3")
        until(lambda: site.sent() == ["S1", "S2", "S3"])
    assert "S2" not in site.log


def test_full_disk_of_the_state_is_told_and_with_room_each_result_is_sent_once(
    site: WatchedSite,
) -> None:
    site.state.mkdir()
    with tmpfs(site.state, "size=512k") as disk:
        # Where no result can be issued it waits. Where the outbox cannot be written it ends, and
        # systemd starts it again.
        with site.watching(codes=(0, 6)):
            site.slide("S1")
            until(lambda: site.sent() == ["S1"])
            disk.fill()
            for number in range(2, 40):
                site.slide(f"S{number}", 1)
            site.await_log("Check space, permissions and disk")
        (line, *_) = (one for one in site.log.splitlines() if "Check space" in one)
        assert str(site.state) in line
        assert len(site.sent()) < 39
        disk.make_room()
        disk.remount("size=8m")
        with site.watching():
            until(lambda: len(site.sent()) >= 39, timeout_s=30)
        assert len(site.sent()) == len(set(site.sent())) == 39
