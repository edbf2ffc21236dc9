"""/metrics and /health over HTTP, for this machine only.

Clients may hang or send single bytes. So one thread serves all of them without waiting, and closes
each after a few seconds; above a limit it closes the oldest. It never waits for the journal, a disk
or the model.

prometheus_client's own server has a thread per client and no time limit: clients that send nothing
could take all threads of the unit's TasksMax. It also answers any Host (docs/architecture.md,
"Libraries that were tried").
"""

from __future__ import annotations

import errno
import json
import logging
import os
import selectors
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

from daemon.config.metrics_config import Address
from daemon.health.health import Health, HealthStatus
from daemon.health.metrics import Metrics
from daemon.image.reading_errors import OUT_OF_RESOURCES
from daemon.supervision.http_request import MOST_HEAD_BYTES, Pages, answer_to
from edge.errors import StorageError

log = logging.getLogger(__name__)

MOST_CLIENTS: Final = 64
# Connections that the kernel queues.
_BACKLOG: Final = 128
# Longest time from a connection to the end of its answer.
_REQUEST_S: Final = 3.0
_LOOK_S: Final = 0.25
_STOP_S: Final = 2.0
# accept(2) has one more such error than open(2).
_CANNOT_ACCEPT: Final = OUT_OF_RESOURCES | {errno.ENOBUFS}
_TEXT_FORMAT: Final = "text/plain; version=0.0.4; charset=utf-8"


def pages(health: Health, metrics: Metrics) -> Pages:
    """The pages by their paths."""

    def health_page() -> tuple[HTTPStatus, str, bytes]:
        report = health.report()
        is_failing = report.status is HealthStatus.FAILING
        status = HTTPStatus.SERVICE_UNAVAILABLE if is_failing else HTTPStatus.OK
        fields = {**report.to_dict(), **health.process}
        return status, "application/json", json.dumps(fields, indent=1).encode()

    return {
        "/metrics": lambda: (HTTPStatus.OK, _TEXT_FORMAT, metrics.text()),
        "/health": health_page,
    }


class MetricsServer:
    """Listens from `start` to `stop`."""

    def __init__(self, address: Address, served: Pages) -> None:
        self._address = address
        self._served = served
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_listening(self) -> bool:
        """Whether the server's thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin to listen.

        Raises:
            StorageError: the address cannot be used now.
        """
        try:
            listener = _open_listener(self._address)
        except OSError as error:
            # The system's text, as socket.create_server's error has a longer one.
            reason = os.strerror(error.errno) if error.errno else error
            raise StorageError(
                f"metrics.listen: {self._address} cannot be used ({reason}). Stop the program "
                "that listens there, or give another address."
            ) from error
        self._stopped.clear()
        clients = _Clients(listener, self._served, _hosts(self._address))
        # A daemon thread: a page that hangs must not keep the process from ending.
        self._thread = threading.Thread(
            target=clients.serve, args=(self._stopped,), name="metrics", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:
            listener.close()
            raise StorageError(
                f"metrics.listen: no thread for {self._address} ({error}). Raise TasksMax=."
            ) from error

    def stop(self) -> None:
        """Stop listening; open connections are closed."""
        if self._thread is not None and self._thread.ident is not None:
            self._stopped.set()
            self._thread.join(_STOP_S)
            self._thread = None
            if self._address.path is not None:
                self._address.path.unlink(missing_ok=True)


def _open_listener(address: Address) -> socket.socket:
    if address.path is None:
        place = (address.host, address.port)
        return socket.create_server(place, family=address.family, backlog=_BACKLOG)
    _remove_dead_socket(address.path)
    listener = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        listener.bind(str(address.path))
        # The umask removed the group's right to connect; who may read results may read metrics.
        address.path.chmod(0o660)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_dead_socket(path: Path) -> None:
    """Remove a socket that a killed process left, but none that is in use."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_REQUEST_S)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)


def _hosts(address: Address) -> frozenset[str] | None:
    """The allowed names in the Host header; None for a socket's path: any."""
    if address.path is not None:
        return None
    return frozenset({"localhost", "127.0.0.1", "[::1]", address.host_name.lower()})


@dataclass(slots=True)
class _Client:
    """A connection: its request is read, its answer is sent, then the client closes it."""

    connection: socket.socket
    until_s: float
    received: bytearray = field(default_factory=bytearray)
    answer: memoryview | None = None


class _Clients:
    """Serves all clients of a listening socket. Used by one thread."""

    def __init__(
        self, listener: socket.socket, served: Pages, hosts: frozenset[str] | None
    ) -> None:
        self._listener = listener
        self._served = served
        self._hosts = hosts
        self._selector = selectors.DefaultSelector()
        # Oldest first.
        self._clients: dict[socket.socket, _Client] = {}
        listener.settimeout(0)
        self._selector.register(listener, selectors.EVENT_READ)

    def serve(self, stopped: threading.Event) -> None:
        """Serve until stopped."""
        try:
            while not stopped.is_set():
                for key, _ in self._selector.select(_LOOK_S):
                    if key.data is None:
                        self._accept(stopped)
                    elif key.data.connection in self._clients:
                        self._serve_one(key.data)
                self._cut_off_late()
        finally:
            self._listener.close()
            for client in list(self._clients.values()):
                self._end(client)
            self._selector.close()

    def _accept(self, stopped: threading.Event) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in _CANNOT_ACCEPT and not self._make_room(most=0):
                # Without a pause the loop would run at once with the same error.
                stopped.wait(_LOOK_S)
            return
        self._make_room(most=MOST_CLIENTS - 1)
        connection.settimeout(0)
        client = _Client(connection, time.monotonic() + _REQUEST_S)
        self._clients[connection] = client
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _make_room(self, *, most: int) -> bool:
        """Close the oldest client if there are more than `most`; returns whether it did."""
        if len(self._clients) <= most:
            return False
        self._end(next(iter(self._clients.values())))
        return True

    def _cut_off_late(self) -> None:
        now = time.monotonic()
        for client in [one for one in self._clients.values() if one.until_s < now]:
            self._end(client)

    def _serve_one(self, client: _Client) -> None:
        try:
            if client.answer is None:
                self._receive(client)
            elif client.answer:
                self._send(client)
            # Bytes after the request are read, as closing with unread bytes would reset the
            # connection before the client has the answer.
            elif not client.connection.recv(65536):
                self._end(client)
        except BlockingIOError:
            return
        except Exception as error:  # noqa: BLE001 - the thread must serve the other clients
            if not isinstance(error, OSError):
                log.error("making a page of the metrics failed: %s", type(error).__name__)  # noqa: TRY400
            self._end(client)

    def _receive(self, client: _Client) -> None:
        content = client.connection.recv(MOST_HEAD_BYTES)
        client.received += content
        answer = answer_to(bytes(client.received), self._served, self._hosts)
        if answer is not None:
            client.answer = memoryview(answer)
            self._selector.modify(client.connection, selectors.EVENT_WRITE, client)
        elif not content:
            self._end(client)

    def _send(self, client: _Client) -> None:
        assert client.answer is not None  # noqa: S101 - for the type checker
        client.answer = client.answer[client.connection.send(client.answer) :]
        if not client.answer:
            client.connection.shutdown(socket.SHUT_WR)
            self._selector.modify(client.connection, selectors.EVENT_READ, client)

    def _end(self, client: _Client) -> None:
        del self._clients[client.connection]
        self._selector.unregister(client.connection)
        with suppress(OSError):
            client.connection.close()
