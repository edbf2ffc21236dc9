"""Sends HL7 v2 messages over MLLP, one in flight.

An answer is credited to a message only if it names it. Whatever else arrives closes the connection,
so that a late answer is never taken for that of a later message.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final

from edge.errors import TransientError
from edge.failpoints import failpoint
from edge.results.send.targets.answer import FATES, Answer, Outgoing, outgoing, read_answer
from edge.results.send.targets.attempt import Attempt, Fate
from edge.results.send.targets.frame import Deadline, FrameReader, framed

# The kernel finds an absent peer of an idle connection within 2 minutes, not 2 hours.
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
# How long the first commit of a receiver is watched for a second answer.
_LEARN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where messages go, and how long one waits.

    Attributes:
        connect_s: longest wait for a connection.
        answer_s: longest time from the first byte of a message to the last of its answer.
    """

    host: str
    port: int
    connect_s: float = 10.0
    answer_s: float = 30.0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class MllpSender:
    """The connection to one receiver, opened when it is needed."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._connection: socket.socket | None = None
        self._reader: FrameReader | None = None
        # Whether an application's answer follows that of the transport; None: not known yet.
        self._answers_twice: bool | None = None

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._reader = None

    def send(self, content: bytes) -> Attempt:
        """Send a message and wait for its answer."""
        try:
            message = outgoing(content)
        except ValueError as error:
            return Attempt(Fate.REFUSED, f"the message cannot be sent over MLLP: {error}")
        try:
            connection, reader = self._connected()
        except OSError as error:
            return Attempt(Fate.AWAY, f"{self._receiver}: {_words(error)}")
        try:
            answer = self._exchange(message, connection, reader)
        except BaseException as error:
            # An answer that comes later must not meet the next message.
            self.close()
            if isinstance(error, (TransientError, OSError, ValueError)):
                return Attempt(Fate.UNCLEAR, f"{self._receiver}: {_words(error)}")
            raise
        failpoint("send.answered")
        fate = FATES[answer.code]
        word = {Fate.DONE: "took it", Fate.AGAIN: "failed", Fate.REFUSED: "refused it"}[fate]
        return Attempt(fate, f"{self._receiver} {word} ({answer.code})", answer.detail)

    def _exchange(
        self, message: Outgoing, connection: socket.socket, reader: FrameReader
    ) -> Answer:
        deadline = Deadline(self._receiver.answer_s)
        connection.settimeout(deadline.left_s())
        failpoint("send.before_message")
        connection.sendall(framed(message.content))
        failpoint("send.message_sent")
        answer = _answer_to(message, reader, deadline)
        if answer.code == "CA":
            answer = self._after_commit(answer, message, reader, deadline)
        if reader.has_more:
            self.close()
        return answer

    def _after_commit(
        self, commit: Answer, message: Outgoing, reader: FrameReader, deadline: Deadline
    ) -> Answer:
        """The application's answer, which follows that of the transport in enhanced mode.

        Receivers send it whether or not MSH-16 asks for it, or never. What this one does is learned
        from its first commit, as an answer that is not read would meet the next message.
        """
        if message.wants_application or self._answers_twice:
            return _answer_to(message, reader, deadline)
        wait_s = _LEARN_S if self._answers_twice is None else 0.0
        if not wait_s and not reader.has_more:
            return commit
        try:
            answer = _answer_to(message, reader, Deadline(min(wait_s, deadline.left_s())))
        except (TransientError, ValueError, OSError):
            # Committed it is. What else has come, or comes, must not meet the next message.
            self.close()
            self._answers_twice = False
            return commit
        self._answers_twice = True
        return answer

    def _connected(self) -> tuple[socket.socket, FrameReader]:
        if self._connection is not None and _is_disturbed(self._connection):
            self.close()
        if self._connection is None or self._reader is None:
            address = (self._receiver.host, self._receiver.port)
            connection = socket.create_connection(address, self._receiver.connect_s)
            for level, option, value in _KEEPALIVE:
                connection.setsockopt(level, option, value)
            self._connection, self._reader = connection, FrameReader(connection)
        return self._connection, self._reader


def _answer_to(message: Outgoing, reader: FrameReader, deadline: Deadline) -> Answer:
    answer = read_answer(reader.read(deadline))
    if answer.control_id != message.control_id:
        raise TransientError("the answer names another message and was not counted")
    return answer


def _is_disturbed(connection: socket.socket) -> bool:
    """Whether the receiver closed an idle connection, or sent something that nobody asked for."""
    connection.settimeout(0)
    try:
        connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no connection or answer in time"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
