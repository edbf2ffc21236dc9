"""Watches that are refused, end or hang: every image is labelled all the same."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from daemon.intake import inotify as watch
from tests.faults.hint_lab import SLACK_S, WINDOW_S, running
from tests.support.lab import Lab
from tests.support.waiting import until
from tests.support.watch_threads import KINDS, WatchThread, watch_threads


def inotify_watches(pid: int) -> int:
    """How many watches a process has, see proc_pid_fdinfo(5)."""
    found = 0
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            found += file.read_text().count("inotify wd:")
    return found


# Whether the daemon says that it cannot watch, and how many watches it has then. With four it
# depends on which folders got them whether there was one left for the daemon's own.
@pytest.mark.parametrize(
    ("watches", "found"), [(0, {(True, 0)}), (4, {(True, 0), (False, 4)})], ids=["0", "4"]
)
def test_watch_limit_on_the_root_and_below_it_loses_nothing(
    lab: Lab, watches: int, found: set[tuple[bool, int]]
) -> None:
    for number in range(8):
        (lab.export / f"S{number}").mkdir()
    prefix = (sys.executable, "-m", "tests.support.machine.userns", str(watches), "-")
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no user namespace with limits of its own can be had")
    lab.add("first.jpg")
    with lab.daemon(*prefix) as process:
        until(lambda: ("cannot be watched" in lab.log, inotify_watches(process.pid)) in found)
        lab.await_done()
        lab.add(*(f"S{n}/cell.jpg" for n in range(8)), "top.jpg")
        lab.await_done(timeout_s=WINDOW_S + SLACK_S)
    lab.check()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_handler_that_raises_is_replaced_and_its_image_labelled(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dispatch = watch.HintHandler.dispatch

    def fail_on_poison(self: Any, event: Any) -> None:
        if "poison" in str(event.src_path):
            raise RuntimeError  # ends the dispatcher's thread
        dispatch(self, event)

    monkeypatch.setattr(watch.HintHandler, "dispatch", fail_on_poison)
    with running(lab):
        lab.add("poison.jpg", "a.jpg")
        lab.await_done(timeout_s=WINDOW_S + SLACK_S)
        until(lambda: "again" in caplog.text)
        lab.add("b.jpg")
        lab.await_done(timeout_s=WINDOW_S + SLACK_S)


@pytest.mark.parametrize("kind", KINDS)
def test_watcher_thread_that_ends_is_replaced(lab: Lab, kind: type[WatchThread]) -> None:
    def is_replaced() -> bool:
        now = [watch_threads(kind) for kind in KINDS]
        return all(now) and before.isdisjoint(thread for threads in now for thread in threads)

    with running(lab):
        before = {thread for kind in KINDS for thread in watch_threads(kind)}
        for thread in watch_threads(kind):
            thread.stop()
        lab.add("a.jpg")
        lab.await_done(timeout_s=WINDOW_S + SLACK_S)
        until(is_replaced)
        lab.add("b.jpg")
        lab.await_done(timeout_s=WINDOW_S + SLACK_S)


def test_watcher_that_hangs_with_living_threads_is_replaced(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, hung = threading.Event(), threading.Event()
    dispatch = watch.HintHandler.dispatch

    def hang_on_poison(self: Any, event: Any) -> None:
        if "poison" in str(event.src_path) and not hung.is_set():
            hung.set()
            released.wait(30)
        dispatch(self, event)

    monkeypatch.setattr(watch.HintHandler, "dispatch", hang_on_poison)
    seen: list[str] = []
    monkeypatch.setattr(watch.log, "warning", lambda text, *_: seen.append(text))
    with running(lab):
        lab.add("poison.jpg", "a.jpg")
        lab.await_done(timeout_s=WINDOW_S + SLACK_S)
        until(lambda: "watching %s again" in seen, timeout_s=15)
        released.set()
        lab.add("b.jpg")
        lab.await_done(timeout_s=WINDOW_S + SLACK_S)
