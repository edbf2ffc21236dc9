"""A client of the metrics server."""

from __future__ import annotations

import socket
from collections.abc import Callable

Connect = Callable[[], socket.socket]


def ask(connect: Connect, request: str) -> tuple[int, str, str]:
    """The status, the header and the body of an answer."""
    with connect() as client:
        client.sendall(request.encode())
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), head, body


def get(connect: Connect, path: str) -> tuple[int, str, str]:
    return ask(connect, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
