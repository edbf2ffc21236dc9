"""Tests for daemon.liveness: over a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.liveness import STUCK_AFTER_S, Heartbeat, Notifier, Pulse


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


def test_heartbeat_beats_at_half_the_interval_while_workers_make_progress(address: str) -> None:
    now_s = 1000.0
    pulse = Pulse(clock=lambda: now_s)
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "10000000"})
    heart = Heartbeat(notifier, pulse, clock=lambda: now_s)
    with listening(address) as server:
        heart.beat()
        now_s += 4.9
        heart.beat()
        assert messages(server) == ["WATCHDOG=1"]
        now_s += 0.2
        with pulse.batch():
            heart.beat()
            assert messages(server) == ["WATCHDOG=1"]
            now_s += STUCK_AFTER_S + 1
            heart.beat()
            assert messages(server) == []
        heart.beat()
        assert messages(server) == ["WATCHDOG=1"]
