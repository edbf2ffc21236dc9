"""Tests for the MLLP sender, against a receiver that misbehaves in every way."""

from __future__ import annotations

import socket
import threading

import pytest

from edge.results.send.targets.attempt import Attempt, Fate
from edge.results.send.targets.frame import LARGEST_ANSWER_BYTES
from edge.results.send.targets.mllp import MllpSender, Receiver
from tests.edge.results.send.targets.messages import ONE, TWO
from tests.support.mllp_server import (
    MllpServer,
    Reaction,
    accept,
    answer,
    closes,
    names,
    says,
    sends,
    split_at,
)
from tests.support.waiting import until

WHOLE = answer(ONE)


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
        kept.append(connection)
        accept(connection, one)

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
