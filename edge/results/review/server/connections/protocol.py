"""HTTP/1.1 with limits: what comes too slowly, or by too many at once, loses its connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_NO_HTTP: Final = "it is no HTTP, or not of this kind"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of each connection, and of all.

    Attributes:
        head_s: from the first byte of a request, or the connection, to the end of its headers.
        body_s: from there to the end of its body.
        idle_s: between two requests.
        most_waiting: connections on which no request has come; more end the oldest of them, so that
            whoever opens thousands does not keep others out.
        most: all connections.
    """

    head_s: float = 10.0
    body_s: float = 20.0
    idle_s: int = 75
    most_waiting: int = 64
    most: int = 256
    head_bytes: int = 16 << 10


@dataclass(slots=True)
class Door:
    """What the connections of one server share.

    Attributes:
        refused: gets the reason of each refusal.
        waiting: connections on which no request has come, the oldest first.
    """

    limits: Limits
    refused: Callable[[str], None]
    waiting: dict[LimitedProtocol, None] = field(default_factory=dict)


class LimitedProtocol(H11Protocol):
    """One connection."""

    def __init__(self, door: Door, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._door = door
        self._deadline: asyncio.TimerHandle | None = None
        # The part of a request that has to come by the deadline.
        self._part = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request its time."""
        super().connection_made(transport)
        self._door.waiting[self] = None
        self._await("head")
        if len(self._door.waiting) > self._door.limits.most_waiting:
            next(iter(self._door.waiting)).end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._door.waiting.pop(self, None)
        self._await("")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the server's own words go out
        """Answer what is no HTTP."""
        self._door.refused(_NO_HTTP)
        error = {"code": "bad_request", "text": f"the request was refused: {_NO_HTTP}"}
        content = json.dumps({"error": error}).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            (b"connection", b"close"),
        ]
        answer = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        try:
            for event in (answer, h11.Data(data=content), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            # The answer to the request before it has begun.
            pass
        self.transport.close()

    def end(self) -> None:
        """Close the connection at once."""
        self._door.waiting.pop(self, None)
        self._await("")
        self.transport.abort()

    def _watch(self) -> None:
        """See what the connection waits for now."""
        state = self.conn.their_state
        if state is not h11.IDLE:
            self._door.waiting.pop(self, None)
        if self.transport.is_closing():
            self._await("")
        elif state is h11.SEND_BODY:
            self._await("body")
        elif state is h11.IDLE and (self in self._door.waiting or self.conn.trailing_data[0]):
            self._await("head")
        else:
            self._await("")

    def _await(self, part: str) -> None:
        if part == self._part:
            return
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._part = part
        if part:
            limits = self._door.limits
            seconds = limits.head_s if part == "head" else limits.body_s
            self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        self._door.refused(f"its {self._part} did not come in time")
        self.end()
