"""Tests for daemon.health.systemd: over a real socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.health.stages import Stages
from daemon.health.systemd import Heartbeat, Notifier


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.settimeout(5.0)
        yield server


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


def messages(server: socket.socket) -> list[str]:
    server.settimeout(0)
    found = []
    try:
        while True:
            found.append(server.recv(4096).decode())
    except BlockingIOError:
        return found


def test_notify_reaches_a_socket(address: str) -> None:
    with listening(address) as server:
        Notifier({"NOTIFY_SOCKET": address}).notify("READY=1", "STATUS=on")
        assert server.recv(4096) == b"READY=1\nSTATUS=on"


def test_notify_reaches_an_abstract_socket() -> None:
    name = f"microscope-edge-test-{os.getpid()}"
    with listening("\0" + name) as server:
        Notifier({"NOTIFY_SOCKET": "@" + name}).notify("READY=1")
        assert server.recv(4096) == b"READY=1"


def test_notify_without_a_socket_or_listener_does_nothing(address: str) -> None:
    Notifier({}).notify("READY=1")
    Notifier({"NOTIFY_SOCKET": address}).notify("READY=1")


def test_watchdog_interval_is_for_this_process_only() -> None:
    mine, other = str(os.getpid()), str(os.getpid() + 1)
    assert Notifier({"WATCHDOG_USEC": "30000000"}).watchdog_s == 30.0
    assert Notifier({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": mine}).watchdog_s == 30.0
    assert Notifier({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": other}).watchdog_s is None
    assert Notifier({}).watchdog_s is None


def test_heartbeat_beats_at_a_quarter_of_the_interval_or_every_second(address: str) -> None:
    now_s = 1000.0
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "10000000"})
    heart = Heartbeat(notifier, clock=lambda: now_s)
    with listening(address) as server:
        heart.beat()
        now_s += 0.9
        heart.beat()
        assert messages(server) == ["WATCHDOG=1"]
        now_s += 0.2
        heart.beat()
        assert messages(server) == ["WATCHDOG=1"]


def test_heartbeat_after_the_last_beat_is_silent_and_has_asked_for_time(address: str) -> None:
    """A beat would take the time away again: systemd counts from the newest word."""
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "10000000"})
    heart = Heartbeat(notifier)
    with listening(address) as server:
        heart.stop()
        heart.beat()
        assert messages(server) == ["EXTEND_TIMEOUT_USEC=25000000"]


def test_reloading_carries_the_monotonic_time(address: str) -> None:
    with listening(address) as server:
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        Notifier({"NOTIFY_SOCKET": address}).reloading()
        (said,) = messages(server)
    first, second = said.splitlines()
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) < before + 10_000_000


def test_pulse_tells_how_long_the_longest_is_in_a_stage() -> None:
    now_s = 1000.0
    stages = Stages(clock=lambda: now_s)
    assert stages.longest_s("infer") == 0.0
    with stages.stage("infer"):
        now_s += 3.0
        assert stages.longest_s("infer") == 3.0
        assert stages.longest_s("results") == 0.0
    assert stages.longest_s("infer") == 0.0
    assert stages.ticked_ago_s() == 3.0
    stages.tick()
    assert stages.ticked_ago_s() == 0.0
