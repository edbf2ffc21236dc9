"""Sends HL7 v2 messages over MLLP, one in flight.

An answer is credited to a message only if it names it. A refusal may come when its message counts
as received already: it is kept for `MllpSender.late`. Whatever else arrives closes the connection,
so that a late answer is never taken for that of a later message.
"""

from __future__ import annotations

import socket
import time
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
LEARN_S: Final = 2.0
# Messages of which a late answer is known, the newest.
MOST_COUNTED: Final = 1000


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


@dataclass(frozen=True, slots=True)
class _Counted:
    """A message that counts as received: by which answer, and when by the monotonic clock."""

    code: str
    at_s: float


class MllpSender:
    """The connection to one receiver, opened when it is needed."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._connection: socket.socket | None = None
        self._reader: FrameReader | None = None
        # Whether an application's answer follows that of the transport; None: not known yet.
        self._answers_twice: bool | None = None
        self._counted: dict[bytes, _Counted] = {}
        self._late: list[tuple[bytes, Attempt]] = []

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
        # Late answers to an earlier attempt at it would look like those to this one.
        self._counted.pop(message.control_id, None)
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
        attempt = self._attempt(answer)
        if attempt.fate is Fate.DONE:
            self._counted[message.control_id] = _Counted(answer.code, time.monotonic())
            if len(self._counted) > MOST_COUNTED:
                del self._counted[next(iter(self._counted))]
        return attempt

    def late(self, wait_s: float = 0.0) -> list[tuple[bytes, Attempt]]:
        """Refusals of messages that counted as received, each with its MSH-10, once.

        Args:
            wait_s: longest wait, where the application has not answered to all messages.
        """
        self._hear(wait_s)
        late, self._late = self._late, []
        return late

    def _attempt(self, answer: Answer, when: str = "") -> Attempt:
        fate = FATES[answer.code]
        word = {Fate.DONE: "took it", Fate.AGAIN: "failed", Fate.REFUSED: "refused it"}[fate]
        return Attempt(fate, f"{self._receiver} {word} ({answer.code}){when}", answer.detail)

    def _exchange(
        self, message: Outgoing, connection: socket.socket, reader: FrameReader
    ) -> Answer:
        deadline = Deadline(self._receiver.answer_s)
        connection.settimeout(deadline.left_s())
        failpoint("send.before_message")
        connection.sendall(framed(message.content))
        failpoint("send.message_sent")
        answer = self._answer_to(message, reader, deadline)
        if answer.code == "CA":
            answer = self._after_commit(answer, message, reader, deadline)
        return answer

    def _after_commit(
        self, commit: Answer, message: Outgoing, reader: FrameReader, deadline: Deadline
    ) -> Answer:
        """The application's answer, which follows that of the transport in enhanced mode.

        Receivers send it whether or not MSH-16 asks for it, only with an error, or never. What this
        one does is learned from its answers, also from those that come too late.
        """
        if message.wants_application or self._answers_twice:
            return self._answer_to(message, reader, deadline)
        wait_s = LEARN_S if self._answers_twice is None else 0.0
        try:
            if not reader.arrives(min(wait_s, deadline.left_s())):
                self._answers_twice = False
                return commit
            answer = self._answer_to(message, reader, deadline)
        except (TransientError, ValueError, OSError):
            # Committed it is. What else has come, or comes, must not meet the next message.
            self.close()
            self._answers_twice = False
            return commit
        self._learn(answer)
        return answer

    def _learn(self, second: Answer) -> None:
        """Learn from an application's answer that came after that of the transport."""
        if FATES[second.code] is Fate.DONE:
            self._answers_twice = True
        elif self._answers_twice is False:
            # It may answer twice only with an error, for which no answer must be waited for.
            self._answers_twice = None

    def _answer_to(self, message: Outgoing, reader: FrameReader, deadline: Deadline) -> Answer:
        while True:
            answer = read_answer(reader.read(deadline))
            if answer.control_id == message.control_id:
                return answer
            self._take_late(answer)

    def _take_late(self, answer: Answer) -> None:
        """Take an answer to a message that counts as received.

        Raises:
            TransientError: it names no such message, or says nothing new.
        """
        counted = self._counted.get(answer.control_id)
        is_second = counted is not None and counted.code == "CA" and answer.code.startswith("A")
        is_refusal = FATES[answer.code] is not Fate.DONE
        if counted is None or not (is_second or is_refusal):
            raise TransientError("the answer names another message and was not counted")
        if is_second and time.monotonic() - counted.at_s <= self._receiver.answer_s:
            self._learn(answer)
        if is_refusal:
            del self._counted[answer.control_id]
            attempt = self._attempt(answer, f" after its {counted.code}")
            self._late.append((answer.control_id, attempt))
        else:
            self._counted[answer.control_id] = _Counted(answer.code, counted.at_s)

    def _hear(self, wait_s: float) -> None:
        """Take late answers; the end of the connection, or anything else, closes it."""
        end_s = time.monotonic() + wait_s
        try:
            while (reader := self._reader) is not None:
                waits = reader.has_more or any(c.code == "CA" for c in self._counted.values())
                if not reader.arrives(max(0.0, end_s - time.monotonic()) if waits else 0.0):
                    return
                self._take_late(read_answer(reader.read(Deadline(self._receiver.answer_s))))
        except (TransientError, ValueError, OSError):
            self.close()

    def _connected(self) -> tuple[socket.socket, FrameReader]:
        self._hear(0.0)
        if self._reader is not None and self._reader.has_more:
            # A part of an answer has arrived: the rest of it must not meet the next message.
            self._hear(min(LEARN_S, self._receiver.answer_s))
            if self._reader is not None and self._reader.has_more:
                self.close()
        if self._connection is None or self._reader is None:
            address = (self._receiver.host, self._receiver.port)
            connection = socket.create_connection(address, self._receiver.connect_s)
            for level, option, value in _KEEPALIVE:
                connection.setsockopt(level, option, value)
            self._connection, self._reader = connection, FrameReader(connection)
        return self._connection, self._reader


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no connection or answer in time"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
