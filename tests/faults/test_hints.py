"""Hints are only hints: whatever becomes of the events, every image is labelled, once, in time.

The whole scan comes once an hour here, so that it finds nothing that hints and quick scans miss.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import InotifyFD

from daemon.image.watch_folder import WatchFolder
from daemon.intake import inotify as watch
from tests.campaigns.burst import burst
from tests.faults.hint_lab import SLACK_S, WINDOW_S, running
from tests.support.lab import Lab
from tests.support.waiting import until

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


def lose_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are read from the kernel and come to nothing; every thread lives."""
    monkeypatch.setattr(watch.HintHandler, "dispatch", lambda _self, _event: None)


def add_directly(lab: Lab) -> None:
    lab.add("S1/a.jpg", "b.jpg")


def rename_in(lab: Lab) -> None:
    (lab.folder / "aside").write_bytes(lab.note("a.jpg"))
    (lab.folder / "aside").rename(lab.export / "a.jpg")


def hard_link_in(lab: Lab) -> None:
    (lab.folder / "aside").write_bytes(lab.note("a.jpg"))
    os.link(lab.folder / "aside", lab.export / "a.jpg")


def move_folder_in(lab: Lab) -> None:
    # Files in it keep their times, so that nothing but the folder is new.
    for name in ("S2/a.jpg", "S2/slide/b.jpg"):
        lab.add(name, folder=lab.folder / "aside")
        os.utime(lab.folder / "aside" / name, (1e9, 1e9))
    # A folder that changed less than two seconds ago is listed again for that alone.
    time.sleep(2.1)
    (lab.folder / "aside" / "S2").rename(lab.export / "S2")


def replace_folder(lab: Lab) -> None:
    move_folder_in(lab)
    lab.await_done()
    (lab.export / "S2").rename(lab.folder / "S2 before")
    lab.add("S2/c.jpg", folder=lab.folder / "other")
    (lab.folder / "other" / "S2").rename(lab.export / "S2")
    for name in ("S2/a.jpg", "S2/slide/b.jpg"):
        target = lab.export / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy2(lab.folder / "S2 before" / name.removeprefix("S2/"), target)


WAYS = (add_directly, rename_in, hard_link_in, move_folder_in, replace_folder)


@pytest.mark.parametrize("way", WAYS)
def test_image_that_comes_without_a_hint_is_labelled_within_the_window(
    lab: Lab, way: Callable[[Lab], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_all(monkeypatch)
    with running(lab):
        way(lab)
        lab.await_done(timeout_s=WINDOW_S + SLACK_S)


@pytest.mark.parametrize("way", WAYS[:-1])
def test_image_that_comes_with_a_hint_is_labelled(lab: Lab, way: Callable[[Lab], None]) -> None:
    with running(lab):
        way(lab)
        lab.await_done(timeout_s=WINDOW_S + SLACK_S)


def test_thousand_nested_new_folders_are_all_labelled(lab: Lab) -> None:
    with running(lab):
        lab.add(*(f"S{n // 100}/slide{n // 10}/{n}/cell.jpg" for n in range(1000)))
        lab.await_done(timeout_s=60)


def test_burst_that_overflows_the_queue_is_all_labelled(lab: Lab) -> None:
    burst(lab, 500, 20, timeout_s=60)


def test_root_deleted_and_made_again_is_watched_again(lab: Lab) -> None:
    with running(lab, gone=("first.jpg",)):
        shutil.rmtree(lab.export)
        # Long enough that the daemon may look while it is gone, as it may not.
        time.sleep(0.5)
        lab.add("S1/a.jpg")
        lab.await_done(timeout_s=WINDOW_S + SLACK_S)
        lab.add("b.jpg")
        lab.await_done(timeout_s=WINDOW_S + SLACK_S)


def test_root_unmounted_and_mounted_again_is_watched_and_its_bare_mount_point_is_not(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    identity = WatchFolder.identity

    def count_looks(watch_folder: WatchFolder) -> tuple[int, int] | None:
        nonlocal looks
        found = identity(watch_folder)
        looks += found is None
        return found

    monkeypatch.setattr(WatchFolder, "identity", count_looks)
    bare = lab.content("a.jpg")
    (lab.export / "bare.jpg").write_bytes(bare)
    mount(lab.export)
    try:
        with running(lab, gone=("first.jpg",)):
            # The daemon holds its lock on the folder, so that a plain umount is refused.
            subprocess.run(["umount", "-l", str(lab.export)], check=True)
            until((lab.export / "bare.jpg").exists)
            until(lambda: looks >= 5)
            assert set(lab.done()) == {"first.jpg"}
            mount(lab.export)
            lab.add("S1/a.jpg")
            lab.await_done(timeout_s=10)
            lab.add("b.jpg")
            lab.await_done(timeout_s=WINDOW_S + SLACK_S)
    finally:
        subprocess.run(["umount", "-l", str(lab.export)], check=False)
    assert [p.name for p in lab.export.iterdir()] == ["bare.jpg"]


def mount(folder: Path) -> None:
    command = ["mount", "-t", "tmpfs", "none", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount")


@pytest.mark.parametrize("poll", ["always", "never"])
def test_events_off_altogether_everything_is_labelled(
    lab: Lab, poll: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.settings["poll"] = poll
    monkeypatch.setattr(InotifyFD, "handle_event", lambda _self, _event: None)
    with running(lab):
        for number in range(3):
            lab.add(f"S{number}/a.jpg")
            lab.await_done(timeout_s=WINDOW_S + SLACK_S)


def test_clock_that_jumps_loses_nothing_and_labels_nothing_half_written(lab: Lab) -> None:
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not installed")
    clock = lab.folder / "clock"
    clock.write_text("+0")
    environment = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    with lab.daemon(environment=environment):
        for offset in ("+1d", "-3d"):
            (lab.folder / "next").write_text(offset)
            (lab.folder / "next").replace(clock)
            half = lab.export / f"half{offset}.jpg"
            content = lab.note(half.name)
            half.write_bytes(content[:-20])
            lab.add(f"S{offset}/a.jpg", f"b{offset}.jpg")
            until(lambda: len(lab.done()) == len(lab.digests) - 1, timeout_s=10)
            assert not lab.done()[half.name]
            assert not (lab.results / f"{half.name}.json").exists()
            half.write_bytes(content)
            lab.await_done(timeout_s=15)
    lab.check()
