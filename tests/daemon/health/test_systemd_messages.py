"""Tests for daemon.health.systemd: over a real socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.health.stages import Stages
from daemon.health.systemd import Heartbeat
from edge.system.notifier import Notifier
from tests.support.notify_socket import listening, messages


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


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
