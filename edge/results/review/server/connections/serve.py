"""Runs uvicorn in this process, without its logs, until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from edge.results.review.server.connections.headers import headers_of_all
from edge.results.review.server.connections.listening import BACKLOG, Listening
from edge.results.review.server.connections.protocol import Door, LimitedProtocol, Limits

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Requests in flight end by then, or are cut off.
_GRACE_S: Final = 1


class Server(uvicorn.Server):
    """Ends at the first signal, and returns in place of raising it once more."""

    def __init__(self, config: uvicorn.Config, handshake_s: float) -> None:
        """A server that is not running yet.

        Args:
            handshake_s: how long TLS may take to begin; uvicorn has no such limit.
        """
        super().__init__(config)
        self._handshake_s = handshake_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen at a bound socket."""
        config = self.config
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                lambda: config.http_protocol_class(  # type: ignore[call-arg]
                    config=config, server_state=self.server_state, app_state={}
                ),
                sock=bound,
                ssl=config.ssl,
                backlog=config.backlog,
                ssl_handshake_timeout=self._handshake_s if config.ssl else None,
            )
            for bound in sockets or []
        ]
        self.started = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals while it runs in the main thread."""
        try:
            before = {number: signal.signal(number, self.handle_exit) for number in _ENDING}
        except ValueError:
            # Not the main thread: whoever started it ends it.
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ARG002 - as uvicorn calls it
        """End; at once at the second signal."""
        self.force_exit = self.should_exit
        self.should_exit = True


def make_server(
    app: ASGIApp,
    listening: Listening,
    refused: Callable[[str], None],
    limits: Limits | None = None,
) -> Server:
    """A server that is not running yet.

    Args:
        refused: gets the reason of each request that was refused before it reached `app`.
    """
    limits = limits or Limits()
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        _silence(name)
    config = uvicorn.Config(
        app,
        http=partial(LimitedProtocol, Door(limits, refused)),  # type: ignore[arg-type]
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        workers=1,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        headers=headers_of_all(has_tls=listening.tls is not None),
        backlog=BACKLOG,
        limit_concurrency=limits.most,
        timeout_keep_alive=limits.idle_s,
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=limits.head_bytes,
    )
    config.load()
    config.ssl = listening.tls
    server = Server(config, limits.head_s)
    # A connection may be answered before the server's first tick sets them.
    server.server_state.default_headers = config.encoded_headers
    return server


async def run_server(server: Server, listening: Listening, tell: Callable[[str], None]) -> None:
    """Serve until `server.should_exit` is set, or a signal comes.

    Args:
        tell: gets a line for an unexpected error, without its text.
    """
    _silence("asyncio")
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: tell(_line(context)))
    await server.serve(sockets=[listening.socket])


def _line(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"a connection failed: {type(error).__name__ if error else 'unknown error'}"


def _silence(name: str) -> None:
    """Their lines may have addresses of requests, or what is in them."""
    logger = logging.getLogger(name)
    logger.handlers = [logging.NullHandler()]
    logger.propagate = False
