"""Tests for receivers that commit a message, and may answer a second time (enhanced mode)."""

from __future__ import annotations

import select
import socket

from edge.results.send.targets.attempt import Attempt, Fate
from edge.results.send.targets.mllp import MllpSender
from tests.edge.results.send.targets.messages import ONE, TWO, message
from tests.support.mllp_server import MllpServer, Reaction, answer, says


def commits_then(code: str) -> Reaction:
    def react(connection: socket.socket, one: bytes) -> None:
        connection.sendall(answer(one, "CA"))
        select.select([], [], [], 0.002)
        connection.sendall(answer(one, code))

    return react


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
    assert server.connections == 1


def test_refusal_after_the_commit_counted_is_kept_and_has_the_next_commit_watched(
    hasty: MllpSender, server: MllpServer
) -> None:
    kept: list[socket.socket] = []

    def commit(connection: socket.socket, one: bytes) -> None:
        kept.append(connection)
        connection.sendall(answer(one, "CA"))

    server.then(commit)
    assert hasty.send(ONE).fate is Fate.DONE
    assert hasty.late() == []
    whole = answer(ONE, "AR", text="no order")
    # Its first part alone neither counts nor costs the connection.
    kept[0].sendall(whole[:30])
    assert hasty.late() == []
    kept[0].sendall(whole[30:])
    told = f"127.0.0.1:{server.port} refused it (AR) after its CA"
    assert hasty.late(5.0) == [(b"A1", Attempt(Fate.REFUSED, told, "no order"))]
    server.then(commits_then("AE"))
    assert hasty.send(TWO).fate is Fate.AGAIN
    assert server.connections == 1


def test_refusal_that_comes_while_the_next_message_waits_is_of_its_own_message(
    hasty: MllpSender, server: MllpServer
) -> None:
    server.then(says("CA"), lambda c, m: c.sendall(answer(ONE, "AR") + answer(m)))
    assert [hasty.send(one).fate for one in (ONE, TWO)] == [Fate.DONE] * 2
    assert [(id_, attempt.fate) for id_, attempt in hasty.late()] == [(b"A1", Fate.REFUSED)]
    # What was sent again has answers of its own.
    assert hasty.send(ONE).fate is Fate.DONE
    assert hasty.late() == []


def test_refusal_after_an_acceptance_is_kept(sender: MllpSender, server: MllpServer) -> None:
    server.then(lambda c, m: c.sendall(answer(m) + answer(m, "AE")))
    assert sender.send(ONE).fate is Fate.DONE
    assert [(id_, attempt.fate) for id_, attempt in sender.late(5.0)] == [(b"A1", Fate.AGAIN)]


def test_acceptance_after_the_commit_counted_has_the_next_one_waited_for(
    hasty: MllpSender, server: MllpServer
) -> None:
    server.then(says("CA"), lambda c, m: c.sendall(answer(ONE) + answer(m, "CA")))
    assert [hasty.send(one).fate for one in (ONE, TWO)] == [Fate.DONE, Fate.UNCLEAR]


def test_receiver_that_answers_twice_with_errors_alone_is_not_waited_for(
    hasty: MllpSender, server: MllpServer
) -> None:
    server.then(lambda c, m: c.sendall(answer(m, "CA") + answer(m, "AR")), says("CA"), says("CA"))
    fates = [hasty.send(one).fate for one in (ONE, TWO, ONE)]
    assert fates == [Fate.REFUSED, Fate.DONE, Fate.DONE]


def test_receiver_that_answers_twice_is_waited_for(sender: MllpSender, server: MllpServer) -> None:
    server.then(commits_then("AA"), commits_then("AR"), commits_then("AE"), commits_then("AA"))
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
