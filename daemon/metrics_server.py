"""/metrics and /health over HTTP, to this machine alone.

A client may hang, drip or never come back: each has a few seconds, and no more than a few are
served at once. Nothing here waits for the journal, a disk or the model.
"""

from __future__ import annotations

import json
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final, TypeAlias

from daemon.health import Health, HealthStatus
from daemon.metrics import Metrics
from daemon.metrics_config import Address
from edge.errors import StorageError

log = logging.getLogger(__name__)

_MOST_CLIENTS: Final = 8
# For a single wait on a client, and for all of its request together.
_QUIET_S: Final = 2.0
_REQUEST_S: Final = 5.0
_LOOK_S: Final = 0.25
_TEXT_FORMAT: Final = "text/plain; version=0.0.4; charset=utf-8"

# Status, content type, content.
Page: TypeAlias = tuple[HTTPStatus, str, bytes]
Pages: TypeAlias = Mapping[str, Callable[[], Page]]


def pages(health: Health, metrics: Metrics) -> Pages:
    """What is served under which path."""

    def health_page() -> Page:
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
        self._server: _ServerMixIn | None = None

    @property
    def is_listening(self) -> bool:
        """Whether clients are served."""
        return self._server is not None

    def start(self) -> None:
        """Begin to listen.

        Raises:
            StorageError: the address cannot be had, now.
        """
        try:
            self._server = _open_server(self._address, self._served)
        except OSError as error:
            raise StorageError(
                f"metrics.listen: {self._address} cannot be had ({error.strerror or error}). "
                "End what listens there, or give another address."
            ) from error
        # A daemon thread: a client must not keep the process from ending.
        thread = threading.Thread(target=self._server.serve, name="metrics", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._server.server_close()
            self._server = None
            raise StorageError(
                f"metrics.listen: {self._address} is not served ({error})."
            ) from error

    def stop(self) -> None:
        """End listening; clients in hand are cut off."""
        if self._server is not None:
            self._server.close_all()
            self._server = None
            if self._address.path is not None:
                self._address.path.unlink(missing_ok=True)


def _open_server(address: Address, served: Pages) -> _ServerMixIn:
    if address.path is None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return _TcpServer(family, (address.host, address.port), served)
    _remove_dead_socket(address.path)
    server = _UnixServer(address.path, served)
    # Whoever may read the results may look at the metrics; the umask took the right to connect.
    address.path.chmod(0o660)
    return server


def _remove_dead_socket(path: Path) -> None:
    """Remove a socket that a killed process left, but none that somebody listens on."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_QUIET_S)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = _QUIET_S
    # No version of this program or of Python for whoever asks.
    server_version = "microscope-edge"
    sys_version = ""
    server: _ServerMixIn

    def do_GET(self) -> None:
        """Answer one request; the connection is closed after it."""
        page = self.server.served.get(self.path.partition("?")[0])
        if page is None:
            self.send_error(HTTPStatus.NOT_FOUND, explain=", ".join(self.server.served))
            return
        status, content_type, content = page()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing: requests come every few seconds, for years."""


class _ServerMixIn(socketserver.BaseServer):
    """A thread for each client, but few, and each for a few seconds."""

    # More than are served at once, so that one more is turned away rather than left to wait.
    request_queue_size = 4 * _MOST_CLIENTS
    served: Pages

    def prepare(self, served: Pages) -> None:
        self.served = served
        self._lock = threading.Lock()
        self._clients: dict[socket.socket, float] = {}

    def serve(self) -> None:
        self.serve_forever(_LOOK_S)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            is_full = len(self._clients) >= _MOST_CLIENTS
            if not is_full:
                self._clients[request] = time.monotonic() + _REQUEST_S
        if is_full:
            self.shutdown_request(request)
            return
        arguments = (request, client_address)
        try:
            threading.Thread(
                target=self._serve_one, args=arguments, name="metrics client", daemon=True
            ).start()
        except RuntimeError:  # the process may have no more threads now
            self._end(request)

    def service_actions(self) -> None:
        """Cut off clients whose time is over; one that drips never meets its own timeout."""
        now = time.monotonic()
        with self._lock:
            late = [client for client, end in self._clients.items() if end < now]
            for client in late:
                # Not closed: its thread, which wakes from this, does that.
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away."""

    def close_all(self) -> None:
        self.shutdown()
        self.server_close()
        with self._lock:
            for client in self._clients:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def _serve_one(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception as error:  # noqa: BLE001 - a client must not end anything
            if not isinstance(error, OSError):
                log.error("a page of the metrics failed with %s", type(error).__name__)  # noqa: TRY400
        finally:
            self._end(request)

    def _end(self, request: Any) -> None:
        with self._lock:
            self._clients.pop(request, None)
        self.shutdown_request(request)


class _TcpServer(_ServerMixIn, socketserver.TCPServer):
    # Not HTTPServer: that asks the DNS for this machine's name, which may take half a minute.
    allow_reuse_address = True

    def __init__(self, family: int, address: tuple[str, int], served: Pages) -> None:
        self.address_family = family
        self.prepare(served)
        super().__init__(address, _Handler)


class _UnixServer(_ServerMixIn, socketserver.UnixStreamServer):
    def __init__(self, path: Path, served: Pages) -> None:
        self.prepare(served)
        super().__init__(str(path), _Handler)
