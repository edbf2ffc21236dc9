"""Tests for the MLLP sender, against a receiver that misbehaves in every way."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator

import pytest

from edge.results.send.targets.attempt import Attempt, Fate
from edge.results.send.targets.frame import LARGEST_ANSWER_BYTES
from edge.results.send.targets.mllp import MllpSender, Receiver
from tests.support.mllp_server import (
    MllpServer,
    Reaction,
    accept,
    answer,
    closes,
    mllp_server,
    names,
    says,
    sends,
    split_at,
)
from tests.support.waiting import until


def message(id_: str, *, application: str = "") -> bytes:
    header = f"MSH|^~\\&|EDGE|LAB|LIS|LAB|20261127101500+0100||ORU^R01|{id_}|P|2.5.1|||"
    return f"{header}|{application}\rOBR|1||S1\r".encode()


ONE, TWO = message("A1"), message("B2")
WHOLE = answer(ONE)


@pytest.fixture
def server() -> Iterator[MllpServer]:
    with mllp_server() as server:
        yield server


@pytest.fixture
def sender(server: MllpServer) -> Iterator[MllpSender]:
    sender = MllpSender(Receiver("127.0.0.1", server.port, connect_s=5, answer_s=5))
    yield sender
    sender.close()


@pytest.fixture
def hasty(server: MllpServer) -> Iterator[MllpSender]:
    """For answers that never come."""
    sender = MllpSender(Receiver("127.0.0.1", server.port, connect_s=5, answer_s=0.1))
    yield sender
    sender.close()


def sends_both(sender: MllpSender, server: MllpServer, reaction: Reaction) -> Attempt:
    """The fate of one message after a reaction; then it and the next one arrive as they should."""
    server.then(reaction)
    attempt = sender.send(ONE)
    assert sender.send(ONE).fate is Fate.DONE
    assert sender.send(TWO).fate is Fate.DONE
    assert server.received == [ONE, ONE, TWO]
    return attempt


def test_send_accepted_goes_over_one_connection(sender: MllpSender, server: MllpServer) -> None:
    assert sender.send(ONE).fate is Fate.DONE
    assert sender.send(TWO).fate is Fate.DONE
    assert (server.received, server.connections) == ([ONE, TWO], 1)


@pytest.mark.parametrize("number", range(1, len(WHOLE)))
def test_send_with_the_answer_split_at_any_byte_is_done(
    sender: MllpSender, server: MllpServer, number: int
) -> None:
    server.then(split_at(number))
    assert sender.send(ONE).fate is Fate.DONE
    assert server.received == [ONE]


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        ("AA", Fate.DONE),
        ("CA", Fate.DONE),
        ("AE", Fate.AGAIN),
        ("CE", Fate.AGAIN),
        ("AR", Fate.REFUSED),
        ("CR", Fate.REFUSED),
    ],
)
def test_send_answered_with_each_code_has_its_fate(
    sender: MllpSender, server: MllpServer, code: str, fate: Fate
) -> None:
    server.then(says(code, "no order for S000123"))
    attempt = sender.send(ONE)
    assert attempt.fate is fate
    assert "S000123" not in attempt.told
    assert attempt.detail == "no order for S000123"


@pytest.mark.parametrize(
    ("reaction", "told"),
    [
        (names(b"B2"), "names another message"),
        (names(b""), "names another message"),
        (names(b"A"), "names another message"),
        (names(b"A1 "), "names another message"),
        (closes, "closed the connection before its answer"),
        (sends(b"\x0bMSH|^~\\&|x\r\x1c\r"), "0 MSA segments"),
        (sends(b"\x0bHELLO\x1c\r"), "does not begin with MSH"),
        (sends(b"\x0b\x1c\r"), "does not begin with MSH"),
        (sends(b"HTTP/1.1 400 Bad Request\r\n\r\n\x1c\r"), "no MLLP frame"),
        (sends(b"\x0bMSH|^~\\&|x\rMSA|ZZ|A1\r\x1c\r"), "MSA-1 is none of"),
        (sends(b"\x0bMSH|^~\\&|x\rMSA||A1\r\x1c\r"), "MSA-1 is none of"),
        (sends(b"\x0bMSH|^~\\&|x\rMSA|AA|B2\rMSA|AA|A1\r\x1c\r"), "2 MSA segments"),
        # The first answer has no end, so that nobody knows of which message the second one is.
        (sends(WHOLE[:-2] + WHOLE), "no MLLP frame"),
        (sends(b"\x0b" + b"x" * (LARGEST_ANSWER_BYTES + 1)), "256 KiB without an end"),
    ],
)
def test_send_without_a_valid_answer_is_not_done_and_both_arrive_later(
    sender: MllpSender, server: MllpServer, reaction: Reaction, told: str
) -> None:
    attempt = sends_both(sender, server, reaction)
    assert attempt.fate is Fate.UNCLEAR
    assert told in attempt.told
    assert server.connections == 2


@pytest.mark.parametrize("number", [0, 1, len(WHOLE) - 2, len(WHOLE) - 1])
def test_send_with_an_answer_that_never_ends_is_unclear_after_the_deadline(
    hasty: MllpSender, server: MllpServer, number: int
) -> None:
    attempt = sends_both(hasty, server, sends(WHOLE[:number]))
    assert attempt.fate is Fate.UNCLEAR
    assert "in time" in attempt.told or "within 0.1 s" in attempt.told
    assert server.connections == 2


def test_send_with_a_dripping_answer_ends_at_the_total_deadline(server: MllpServer) -> None:
    stop = threading.Event()

    def drip(connection: socket.socket, _message: bytes) -> None:
        # Each byte comes in time, the answer as a whole does not.
        while not stop.wait(0.01):
            connection.sendall(b"x")

    server.then(drip)
    sender = MllpSender(Receiver("127.0.0.1", server.port, answer_s=0.2))
    assert sender.send(ONE).fate is Fate.UNCLEAR
    stop.set()
    sender.close()


def test_late_answer_of_the_earlier_message_is_credited_to_nothing(
    hasty: MllpSender, server: MllpServer
) -> None:
    held: list[socket.socket] = []
    server.then(lambda connection, _message: held.append(connection))
    assert hasty.send(ONE).fate is Fate.UNCLEAR
    # The connection is closed, so that the answer cannot arrive any more.
    until(lambda: held[0].fileno() < 0)
    # A receiver that answers on the newest connection: the late answer comes before the right one.
    server.then(lambda c, m: c.sendall(answer(ONE) + answer(m)))
    assert hasty.send(TWO).fate is Fate.UNCLEAR
    assert hasty.send(TWO).fate is Fate.DONE


def test_answer_that_comes_between_two_messages_is_credited_to_nothing(
    sender: MllpSender, server: MllpServer
) -> None:
    kept: list[socket.socket] = []

    def keep(connection: socket.socket, one: bytes) -> None:
        accept(connection, one)
        kept.append(connection)

    server.then(keep)
    assert sender.send(ONE).fate is Fate.DONE
    kept[0].sendall(answer(TWO))
    server.then(says("AR"))
    assert sender.send(TWO).fate is Fate.REFUSED
    assert server.connections == 2


def test_several_answers_in_one_piece_count_once(sender: MllpSender, server: MllpServer) -> None:
    server.then(lambda c, m: c.sendall(answer(m) + answer(TWO) + answer(TWO, "AR")))
    assert sender.send(ONE).fate is Fate.DONE
    assert sender.send(TWO).fate is Fate.DONE
    assert (server.received, server.connections) == ([ONE, TWO], 2)


def test_receiver_that_closed_the_idle_connection_gets_the_next_message(
    sender: MllpSender, server: MllpServer
) -> None:
    def accept_and_close(connection: socket.socket, one: bytes) -> None:
        accept(connection, one)
        closes(connection, one)

    server.then(accept_and_close)
    assert sender.send(ONE).fate is Fate.DONE
    assert sender.send(TWO).fate in (Fate.DONE, Fate.UNCLEAR)
    assert sender.send(TWO).fate is Fate.DONE


def test_commit_with_the_applications_refusal_in_one_piece_is_refused(
    sender: MllpSender, server: MllpServer
) -> None:
    server.then(lambda c, m: c.sendall(answer(m, "CA") + answer(m, "AR")))
    assert sender.send(ONE).fate is Fate.REFUSED


def test_commit_with_a_part_of_another_answer_is_done(
    hasty: MllpSender, server: MllpServer
) -> None:
    server.then(lambda c, m: c.sendall(answer(m, "CA") + answer(m, "AR")[:20]))
    assert hasty.send(ONE).fate is Fate.DONE
    assert hasty.send(TWO).fate is Fate.DONE


def test_receiver_that_commits_alone_is_not_waited_for_again(
    hasty: MllpSender, server: MllpServer
) -> None:
    server.usual = says("CA")
    assert [hasty.send(one).fate for one in (ONE, TWO, ONE)] == [Fate.DONE] * 3
    assert server.received == [ONE, TWO, ONE]
    # The first connection was closed: its second answer would have met the next message.
    assert server.connections == 2


def test_receiver_that_answers_twice_is_waited_for(sender: MllpSender, server: MllpServer) -> None:
    def commit_then(code: str) -> Reaction:
        def react(connection: socket.socket, one: bytes) -> None:
            connection.sendall(answer(one, "CA"))
            select.select([], [], [], 0.002)
            connection.sendall(answer(one, code))

        return react

    server.then(commit_then("AA"), commit_then("AR"), commit_then("AE"), commit_then("AA"))
    fates = [sender.send(one).fate for one in (ONE, TWO, ONE, TWO)]
    assert fates == [Fate.DONE, Fate.REFUSED, Fate.AGAIN, Fate.DONE]
    assert server.connections == 1


def test_message_that_asks_for_the_applications_answer_waits_for_it(
    hasty: MllpSender, server: MllpServer
) -> None:
    asking = message("A1", application="AL")
    server.then(says("CA"))
    assert hasty.send(asking).fate is Fate.UNCLEAR
    server.then(lambda c, m: c.sendall(answer(m, "CA") + answer(m, "AE")))
    assert hasty.send(asking).fate is Fate.AGAIN


def test_send_to_nobody_is_away(unused_tcp_port: int) -> None:
    sender = MllpSender(Receiver("127.0.0.1", unused_tcp_port))
    attempt = sender.send(ONE)
    assert attempt.fate is Fate.AWAY
    assert f"127.0.0.1:{unused_tcp_port}: Connection refused" in attempt.told


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PID|1", "does not begin with MSH"),
        (b"MSH", "does not begin with MSH"),
        (b"MSH|^~\\&|a", "MSH-10 is empty"),
        (ONE + b"\x1c", "a byte that frames"),
        (ONE + b"\x0b", "a byte that frames"),
    ],
)
def test_message_that_cannot_be_framed_or_named_is_refused_unsent(
    sender: MllpSender, server: MllpServer, content: bytes, told: str
) -> None:
    attempt = sender.send(content)
    assert attempt.fate is Fate.REFUSED
    assert told in attempt.told
    assert server.connections == 0
