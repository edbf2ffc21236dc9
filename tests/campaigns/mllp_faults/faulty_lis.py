"""A receiver that stores each message once, by its MSH-10, and misbehaves by a seed."""

from __future__ import annotations

import random
import select
import socket
import struct
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from typing import Final

from tests.support.mllp_server import END, answer, control_id

# As of how many messages of ten something goes wrong.
_FAULTY: Final = 8
_LONGEST_ANSWER_BYTES: Final = 90


class FaultyLis:
    """What it stored is what a laboratory would see."""

    def __init__(self, seed: int, answer_s: float) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable
        self._answer_s = answer_s
        self._bytes = cycle(range(1, _LONGEST_ANSWER_BYTES))
        self._late: list[bytes] = []
        self._wanted: list[bytes] = []
        self.is_honest = False
        self.stored: dict[bytes, bytes] = {}
        self._revisions: dict[str, int] = {}
        self.faults: Counter[str] = Counter()
        self.problems: list[str] = []
        self._kinds: Final[dict[str, Callable[[socket.socket, bytes], None]]] = {
            "message lost": self._message_lost,
            "answer lost": self._answer_lost,
            "answer split": self._split,
            "answer in single bytes": self._single_bytes,
            "answer late": self._answer_late,
            "answer of another message": self._other_id,
            "answer of another first": self._other_first,
            "several answers": self._several,
            "AE": lambda c, m: c.sendall(answer(m, "AE")),
            "CE": lambda c, m: c.sendall(answer(m, "CE")),
            "AR": lambda c, m: c.sendall(answer(m, "AR")),
            "CR": lambda c, m: c.sendall(answer(m, "CR")),
            "CA": lambda c, m: self._store_and_send(c, m, answer(m, "CA")),
            "answer without MSA": lambda c, _m: c.sendall(b"\x0bMSH|^~\\&|LIS" + END),
            "answer cut, then whole": lambda c, m: c.sendall(answer(m)[:-2] + answer(m)),
            "garbage": lambda c, _m: c.sendall(self._random.randbytes(50) + END),
            "closed before storing": lambda c, _m: c.shutdown(socket.SHUT_RDWR),
            "closed after storing": self._closed_after,
            "reset": self._reset,
        }

    def react(self, connection: socket.socket, message: bytes) -> None:
        """Take one message."""
        id_ = control_id(message)
        self._wanted.append(id_)
        before = self.stored.get(id_, message)
        if before != message:
            self.problems.append(f"{id_!r} came again with other bytes")
        if self.is_honest or self._random.randrange(10) >= _FAULTY:
            self._store_and_send(connection, message, answer(message))
            return
        kind = self._random.choice(list(self._kinds))
        self.faults[kind] += 1
        self._kinds[kind](connection, message)

    def _store(self, message: bytes) -> None:
        if control_id(message) in self.stored:
            return
        self.stored[control_id(message)] = message
        sample, revision = _sample_and_state(message)
        before = self._revisions.get(sample, 0)
        if revision < before or (revision == 2 and before == 0):
            self.problems.append(f"{sample}: a correction came before what it corrects")
        self._revisions[sample] = revision

    def _store_and_send(self, connection: socket.socket, message: bytes, content: bytes) -> None:
        self._store(message)
        connection.sendall(content)

    def _message_lost(self, _connection: socket.socket, _message: bytes) -> None:
        """Half-open: nobody is there any more."""

    def _answer_lost(self, _connection: socket.socket, message: bytes) -> None:
        self._store(message)

    def _split(self, connection: socket.socket, message: bytes) -> None:
        self._store(message)
        whole, number = answer(message), next(self._bytes)
        connection.sendall(whole[:number])
        select.select([], [], [], 0.002)
        connection.sendall(whole[number:])

    def _single_bytes(self, connection: socket.socket, message: bytes) -> None:
        self._store(message)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in answer(message):
            connection.sendall(bytes([byte]))

    def _answer_late(self, connection: socket.socket, message: bytes) -> None:
        self._store(message)
        self._late.append(answer(message))
        select.select([], [], [], self._answer_s * 1.2)
        # Perhaps nobody listens any more. The next connection gets it as well.
        connection.sendall(answer(message))

    def _other_id(self, connection: socket.socket, message: bytes) -> None:
        other = self._random.choice(self._wanted)
        if other == control_id(message):
            self._store(message)
        connection.sendall(answer(message, id_=other))

    def _other_first(self, connection: socket.socket, message: bytes) -> None:
        self._store(message)
        late = self._late.pop() if self._late else answer(message, id_=b"0")
        connection.sendall(late + answer(message))

    def _several(self, connection: socket.socket, message: bytes) -> None:
        self._store(message)
        others = b"".join(answer(message, id_=self._random.choice(self._wanted)) for _ in range(3))
        connection.sendall(answer(message) + others)

    def _closed_after(self, connection: socket.socket, message: bytes) -> None:
        self._store(message)
        connection.shutdown(socket.SHUT_RDWR)

    def _reset(self, connection: socket.socket, message: bytes) -> None:
        if self._random.randrange(2):
            self._store(message)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)


def _sample_and_state(message: bytes) -> tuple[str, int]:
    """The sample of OBR-3, and 1 for a first result (F), 2 for a correction (C) in OBR-25."""
    segments = [s.split(b"|") for s in message.split(b"\r")]
    (order,) = (fields for fields in segments if fields[0] == b"OBR")
    return order[3].decode(), 2 if order[25] == b"C" else 1
