"""Tests for the pauses of one target, by a clock that the test moves."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.results.send.config import Target
from edge.results.send.delivery import Delivery
from edge.results.send.outbox.entry import Begun, NewEntry
from edge.results.send.outbox.outbox import Outbox
from edge.retry.policy import RetryPolicy
from tests.edge.results.send.site import mllp_target
from tests.support.mllp_server import (
    END,
    MllpServer,
    Reaction,
    accept,
    closes,
    control_id,
    mllp_server,
    names,
    says,
    sends,
)


class Desk:
    """A delivery with results of some samples queued."""

    def __init__(self, folder: Path, target: Target, samples: int) -> None:
        self.now_s = 1000.0
        self.told: list[str] = []
        self.outbox = Outbox(folder)
        self.outbox.begin_target(target.name, Begun(0, 0, ""))
        entries = [_entry(number) for number in range(samples)]
        self.outbox.queue(target.name, entries, samples)
        self.delivery = Delivery(target, self.outbox, self.told.append, clock=lambda: self.now_s)

    def close(self) -> None:
        self.delivery.close()
        self.outbox.__exit__()

    def waits_s(self) -> list[float]:
        """The waits until nothing is queued any more or ten attempts were made."""
        waits: list[float] = []
        while len(waits) < 10 and (wait_s := self.delivery.wait_s()) is not None:
            waits.append(wait_s)
            self.now_s += wait_s
            assert self.delivery.take_turn()
        return waits


def _entry(number: int) -> NewEntry:
    content = f"MSH|^~\\&|EDGE|LAB|||20261127||ORU^R01|ID{number}|P|2.5.1\r".encode()
    return NewEntry(f"ID{number}", f"S{number}", f"K{number}", 1, "final", "x.hl7", content)


@pytest.fixture
def server() -> Iterator[MllpServer]:
    with mllp_server() as server:
        yield server


def test_receiver_that_fails_is_asked_again_after_growing_pauses_and_then_held(
    tmp_path: Path, server: MllpServer
) -> None:
    retries = RetryPolicy(attempts=5, first_delay_s=5.0, max_delay_s=15.0)
    desk = Desk(tmp_path, replace(mllp_target(server.port), retries=retries), 1)
    server.usual = says("AE")
    assert desk.waits_s() == [0.0, 5.0, 10.0, 15.0, 15.0]
    assert desk.outbox.counts() == {"lis": {"held": 1}}
    desk.close()


def test_target_that_is_away_is_tried_after_growing_pauses_for_ever(tmp_path: Path) -> None:
    with mllp_server() as server:
        port = server.port
    retries = RetryPolicy(attempts=2, first_delay_s=5.0, max_delay_s=15.0)
    desk = Desk(tmp_path, replace(mllp_target(port), retries=retries), 3)
    assert desk.waits_s() == [0.0, 5.0, 10.0] + [15.0] * 7
    assert desk.outbox.counts() == {"lis": {"queued": 3}}
    # Each was tried in its turn: one that the receiver cannot answer delays no other for good.
    assert {entry.attempts for entry in desk.outbox.open_entries(9)} == {3, 4}
    desk.close()


def answers_all_but(id_: bytes) -> Reaction:
    def react(connection: socket.socket, message: bytes) -> None:
        (closes if control_id(message) == id_ else accept)(connection, message)

    return react


def test_message_that_alone_gets_no_valid_answer_is_held_while_others_are_answered(
    tmp_path: Path, server: MllpServer
) -> None:
    retries = RetryPolicy(attempts=3, first_delay_s=5.0, max_delay_s=300.0)
    desk = Desk(tmp_path, replace(mllp_target(server.port), retries=retries), 1)
    server.usual = answers_all_but(b"ID0")
    tries_s = []
    for number in range(1, 20):
        while desk.delivery.take_turn():
            if control_id(server.received[-1]) == b"ID0":
                tries_s.append(desk.now_s - 1000)
        desk.outbox.queue("lis", [_entry(number)], number)
        desk.now_s += 5.0
    # The first attempt proves nothing, the pauses of that message grow, and others go between.
    assert tries_s == [0.0, 5.0, 15.0, 35.0]
    assert desk.outbox.counts()["lis"] == {"acked": 18, "held": 1, "queued": 1}
    assert len([line for line in desk.told if "is back" in line]) == 1
    held = next(line for line in desk.told if "held" in line)
    assert held.endswith("before its answer, 4 times, while other messages were answered")
    desk.close()


@pytest.mark.parametrize("reaction", [closes, sends(b"garbage" + END), names(b"ANOTHER")])
def test_receiver_that_answers_nobody_validly_is_away_and_holds_nothing(
    tmp_path: Path, server: MllpServer, reaction: Reaction
) -> None:
    retries = RetryPolicy(attempts=2, first_delay_s=5.0, max_delay_s=15.0)
    desk = Desk(tmp_path, replace(mllp_target(server.port), retries=retries), 3)
    server.usual = reaction
    assert desk.waits_s() == [0.0, 5.0, 10.0] + [15.0] * 7
    assert desk.outbox.counts() == {"lis": {"queued": 3}}
    assert len(desk.told) == 1
    # All of them are sent within the longest pause when it is back.
    server.usual = accept
    assert sum(desk.waits_s()) <= 15.0
    assert desk.outbox.counts() == {"lis": {"acked": 3}}
    desk.close()


def test_failing_message_delays_no_other_sample(tmp_path: Path, server: MllpServer) -> None:
    desk = Desk(tmp_path, mllp_target(server.port), 3)
    server.then(says("AE"))
    desk.waits_s()
    sent = [control_id(message) for message in server.received]
    assert sent == [b"ID0", b"ID1", b"ID2", b"ID0"]
    desk.close()


def test_pause_between_messages_is_kept(tmp_path: Path, server: MllpServer) -> None:
    desk = Desk(tmp_path, mllp_target(server.port, pause_s=3.0), 3)
    assert desk.waits_s() == [0.0, 3.0, 3.0]
    assert not desk.delivery.take_turn()
    desk.close()
