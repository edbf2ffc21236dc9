"""A socket as systemd gives one to a service, for its messages."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.settimeout(5.0)
        yield server


def messages(server: socket.socket) -> list[str]:
    """What has arrived."""
    server.settimeout(0)
    found = []
    try:
        while True:
            found.append(server.recv(4096).decode())
    except BlockingIOError:
        return found
