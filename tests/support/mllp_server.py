"""An MLLP receiver that takes messages and reacts as a script says."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

END = b"\x1c\r"


def control_id(message: bytes) -> bytes:
    return message.split(b"\r")[0].split(b"|")[9]


def answer(message: bytes, code: str = "AA", *, id_: bytes | None = None, text: str = "") -> bytes:
    """A framed acknowledgement of a message, or of that with another id."""
    named = control_id(message) if id_ is None else id_
    header = b"MSH|^~\\&|LIS|LAB|||20261127101500+0100||ACK|A1|P|2.5.1"
    return b"\x0b" + header + b"\rMSA|" + code.encode() + b"|" + named + b"|" + text.encode() + END


# What a receiver does with one message on one connection; it may close the connection.
Reaction = Callable[[socket.socket, bytes], None]


def accept(connection: socket.socket, message: bytes) -> None:
    connection.sendall(answer(message))


def says(code: str, text: str = "") -> Reaction:
    return lambda connection, message: connection.sendall(answer(message, code, text=text))


def names(other: bytes) -> Reaction:
    return lambda connection, message: connection.sendall(answer(message, id_=other))


def sends(content: bytes) -> Reaction:
    return lambda connection, _message: connection.sendall(content)


def is_silent(_connection: socket.socket, _message: bytes) -> None:
    """As if the connection were half-open, or the answer lost."""


def closes(connection: socket.socket, _message: bytes) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def split_at(number: int) -> Reaction:
    """The answer in two pieces that arrive one by one."""

    def react(connection: socket.socket, message: bytes) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        whole = answer(message)
        connection.sendall(whole[:number])
        # The first piece has left, and was perhaps read, before the second one follows.
        select.select([], [], [], 0.002)
        connection.sendall(whole[number:])

    return react


class MllpServer:
    """Takes messages, in any number of connections one after the other."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._script: list[Reaction] = []
        # To messages for which the script has none.
        self.usual: Reaction = accept
        self.received: list[bytes] = []
        self.connections = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="mllp-server")
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def then(self, *reactions: Reaction) -> None:
        """How it reacts to the next messages; `usual` is for what comes after."""
        self._script += reactions

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        open_: dict[socket.socket, bytearray] = {}
        try:
            while not self._stop.is_set():
                ready, _, _ = select.select([self._listener, *open_], [], [], 0.02)
                for one in ready:
                    if one is self._listener:
                        open_[one.accept()[0]] = bytearray()
                        self.connections += 1
                    elif not self._take(one, open_[one]):
                        del open_[one]
                        one.close()
        finally:
            for one in open_:
                one.close()

    def _take(self, connection: socket.socket, buffer: bytearray) -> bool:
        """Read what has arrived and react to whole messages; False: the connection has ended."""
        try:
            piece = connection.recv(65536)
            buffer += piece
            while (end := buffer.find(END)) >= 0:
                message = bytes(buffer[1:end])
                del buffer[: end + len(END)]
                self.received.append(message)
                reaction = self._script.pop(0) if self._script else self.usual
                reaction(connection, message)
        except OSError:
            return False
        return bool(piece)


@contextmanager
def mllp_server(port: int = 0) -> Iterator[MllpServer]:
    listener = socket.create_server(("127.0.0.1", port))
    server = MllpServer(listener)
    try:
        yield server
    finally:
        server.stop()
