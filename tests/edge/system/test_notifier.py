"""Tests for edge.system.notifier: over a real socket."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edge.system.notifier import Notifier
from tests.support.notify_socket import listening, messages


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


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


def test_reloading_carries_the_monotonic_time(address: str) -> None:
    with listening(address) as server:
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        Notifier({"NOTIFY_SOCKET": address}).reloading()
        (said,) = messages(server)
    first, second = said.splitlines()
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) < before + 10_000_000


def test_beat_before_each_of_many_steps_is_one_message(address: str) -> None:
    with listening(address) as server:
        notifier = Notifier({"NOTIFY_SOCKET": address})
        for _ in range(5):
            notifier.beat()
        assert messages(server) == ["WATCHDOG=1"]
