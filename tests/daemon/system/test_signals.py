"""Signals at any moment: whoever they interrupt may hold a lock."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.service_process import ServiceProcess
from daemon.system.signals import acting_on_signals
from daemon.worker_threads import StopRequest
from edge.system.notifier import Notifier
from tests.support.site import ROOT, Site
from tests.support.waiting import until


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    number = signal.SIGUSR1
    before = signal.getsignal(number)
    yield
    signal.signal(number, before)


def test_signal_that_interrupts_the_holder_of_a_lock_is_acted_on() -> None:
    stop_request = StopRequest()
    with acting_on_signals({signal.SIGUSR1: stop_request.make}):
        # What `wait` and `request` of this very thread hold for moments.
        with stop_request._requested._cond:  # type: ignore[attr-defined]  # noqa: SLF001 - a race: the signal comes while this thread holds the lock
            send(signal.SIGUSR1)
            assert not stop_request.is_made
        until(lambda: stop_request.is_made)


def test_sigterm_that_interrupts_the_wait_for_storage_ends_it(tmp_path: Path) -> None:
    lifecycle = ServiceProcess(tmp_path / "edge.yaml", Notifier({}))
    with lifecycle.acting_on_signals():
        condition = lifecycle._stopped._cond  # type: ignore[attr-defined]  # noqa: SLF001 - a race: the signal comes while this thread holds the lock
        with condition, lifecycle._lock:  # noqa: SLF001 - a race, as above
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
                send(number)
        until(lifecycle._stopped.is_set)  # noqa: SLF001 - the process would end as a whole
    # A second one while the process ends changes nothing.
    send(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_thousands_of_signals_lose_not_the_last() -> None:
    stop_request, acted = StopRequest(), threading.Event()

    def act() -> None:
        stop_request.make()
        acted.set()

    with acting_on_signals({signal.SIGUSR1: act}):
        for _ in range(5000):
            send(signal.SIGUSR1)
            stop_request.wait(0)
        assert stop_request.is_made
        until(acted.is_set)
        acted.clear()
        send(signal.SIGUSR1)
        assert acted.wait(20)


def test_signal_whose_action_fails_leaves_the_next_one_its_thread(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[int] = []

    def act() -> None:
        calls.append(0)
        if len(calls) == 1:
            raise RuntimeError("S1/A/4711.jpg")

    with acting_on_signals({signal.SIGUSR1: act}):
        send(signal.SIGUSR1)
        until(lambda: len(calls) == 1)
        send(signal.SIGUSR1)
        until(lambda: len(calls) == 2)
    assert "acting on a signal failed: RuntimeError" in caplog.text
    assert "4711" not in caplog.text


def test_signals_do_again_what_they_did_after_the_block() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _frame: seen.append(number))
    with acting_on_signals({signal.SIGUSR1: lambda: None}):
        send(signal.SIGUSR1)
        assert seen == []
    send(signal.SIGUSR1)
    assert seen == [signal.SIGUSR1]


# The service's place is taken by a thread that is in ONNX Runtime nearly all the time.
_IN_NATIVE_CODE = """
import os, threading
import onnxruntime
from daemon import cli
from daemon.service_process import ServiceProcess

has_opened = threading.Event()

def open_for_ever():
    while True:
        onnxruntime.InferenceSession(os.environ["GRAPH"], providers=["CPUExecutionProvider"])
        has_opened.set()

def run(_lifecycle, _config):
    threading.Thread(target=open_for_ever, daemon=True).start()
    has_opened.wait()

ServiceProcess.run = run
cli.main()
"""


def test_process_that_ends_during_a_check_gives_its_exit_code(site: Site) -> None:
    # C++ answers with SIGABRT where the interpreter's end takes a thread away in the middle of it.
    command = [sys.executable, "-c", _IN_NATIVE_CODE, *site.command("run")[3:]]
    graph = Path(site.settings["bundle"]) / "model.fp32.onnx"
    environment = os.environ | {"GRAPH": str(graph)}
    for _ in range(5):
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["run", "once"])
def test_process_that_gets_sigterm_at_any_moment_ends(site: Site, command: str) -> None:
    chance = random.Random(command)  # noqa: S311 - moments
    (site.export / "a.jpg").write_bytes(b"no image")
    for _ in range(4):
        process = site.start(command)
        # While it is imported, opened, at work, or already stop_request.
        time.sleep(chance.uniform(0.3, 2.5))
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
        try:
            _, said = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        # By the signal itself only before the command has begun or after it is done.
        assert process.returncode in (0, 130, -signal.SIGTERM), said
        assert "Traceback" not in said
