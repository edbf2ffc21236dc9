"""Tests for daemon.metrics_server: real sockets, and clients that do what they should not."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from daemon import metrics_server
from daemon.health import Health
from daemon.metrics import Metrics
from daemon.metrics_config import Address
from daemon.metrics_server import MetricsServer, pages
from edge.errors import StorageError

Until = Callable[..., None]
Connect = Callable[[], socket.socket]


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture(params=["tcp", "unix"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    if request.param == "unix":
        return Address(path=tmp_path / "m.sock")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", free.getsockname()[1])


@pytest.fixture
def server(address: Address, health: Health) -> Iterator[MetricsServer]:
    server = MetricsServer(address, pages(health, Metrics(health)))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def connect(address: Address, server: MetricsServer) -> Connect:
    assert server.is_listening

    def connect() -> socket.socket:
        if address.path is not None:
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(10)
            client.connect(str(address.path))
            return client
        return socket.create_connection((address.host, address.port), timeout=10)

    return connect


def ask(connect: Connect, request: str) -> tuple[int, str, str]:
    """The status, the header and the body of an answer."""
    with connect() as client:
        client.sendall(request.encode())
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), head, body


def is_cut_off(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def get(connect: Connect, path: str) -> tuple[int, str, str]:
    return ask(connect, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")


def test_metrics_and_health_are_served(connect: Connect, health: Health) -> None:
    status, head, body = get(connect, "/metrics")
    assert (status, "text/plain; version=0.0.4" in head) == (HTTPStatus.OK, True)
    assert "\nmicroscope_edge_up 1.0\n" in body
    status, head, body = get(connect, "/health?x=1")
    assert (status, "application/json" in head) == (HTTPStatus.OK, True)
    assert json.loads(body)["status"] == "ok"
    assert json.loads(body)["pid"] == os.getpid()
    health.set("journal", ok=False, reason="the disk is full")
    status, _, body = get(connect, "/health")
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert json.loads(body)["reasons"] == ["journal: the disk is full"]


def test_anything_but_get_of_a_known_path_is_refused(connect: Connect) -> None:
    assert get(connect, "/../etc/passwd")[0] == HTTPStatus.NOT_FOUND
    assert ask(connect, "POST /metrics HTTP/1.1\r\n\r\n")[0] == HTTPStatus.NOT_IMPLEMENTED
    assert (
        ask(connect, f"GET /{'x' * 70_000} HTTP/1.1\r\n\r\n")[0] == HTTPStatus.REQUEST_URI_TOO_LONG
    )
    assert "Python" not in get(connect, "/metrics")[1]


def test_client_that_says_nothing_delays_nobody_and_is_cut_off(connect: Connect) -> None:
    with connect() as silent:
        start = time.monotonic()
        assert get(connect, "/health")[0] == HTTPStatus.OK
        assert time.monotonic() - start < 1
        assert silent.recv(1) == b""
        assert time.monotonic() - start < 4


def test_client_that_drips_is_cut_off(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "_REQUEST_S", 1.0)
    with connect() as slow:
        slow.settimeout(0.2)
        start = time.monotonic()
        answer: bytes | None = None
        while answer is None and time.monotonic() - start < 8:
            try:
                slow.sendall(b"G")
                answer = slow.recv(1)
            except TimeoutError:
                continue
            except OSError:
                answer = b""
        # It never was silent for as long as the timeout of a single wait.
        assert answer == b""
        assert time.monotonic() - start < 3


def test_crowd_of_clients_takes_no_more_threads_than_are_allowed(
    connect: Connect, until: Until
) -> None:
    before = threading.active_count()
    crowd = [connect() for _ in range(30)]
    for client in crowd:
        client.settimeout(0)
    # Before the first of them meets the timeout of a silent client.
    most = metrics_server._MOST_CLIENTS
    until(lambda: sum(map(is_cut_off, crowd)) == len(crowd) - most, timeout_s=1.5)
    assert threading.active_count() == before + most
    for client in crowd:
        client.close()
    until(lambda: threading.active_count() == before)
    assert get(connect, "/health")[0] == HTTPStatus.OK


def test_clients_for_whom_there_was_no_thread_leave_their_places_free(
    connect: Connect, server: MetricsServer
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "metrics client":
            raise RuntimeError("can't start new thread")
        start(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(metrics_server._MOST_CLIENTS):
            with connect() as client:
                assert is_cut_off(client)
    assert server._server is not None
    assert not server._server._clients
    assert get(connect, "/health")[0] == HTTPStatus.OK


def test_start_without_a_thread_is_an_error_and_can_be_tried_again(
    address: Address, health: Health
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    server = MetricsServer(address, pages(health, Metrics(health)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StorageError, match="is not served"):
            server.start()
    assert not server.is_listening
    server.start()
    server.stop()


def test_stop_with_a_client_that_hangs_returns_and_frees_the_address(
    address: Address, server: MetricsServer, connect: Connect, health: Health
) -> None:
    with connect():
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 2
    again = MetricsServer(address, pages(health, Metrics(health)))
    again.start()
    again.stop()
    assert address.path is None or not address.path.exists()


def test_start_at_an_address_in_use_says_so_and_leaves_the_other_alone(
    address: Address, connect: Connect, health: Health
) -> None:
    second = MetricsServer(address, pages(health, Metrics(health)))
    with pytest.raises(StorageError, match=r"cannot be had .*in use.* End what listens there"):
        second.start()
    assert not second.is_listening
    assert get(connect, "/health")[0] == HTTPStatus.OK


def test_start_over_the_socket_of_a_killed_process_takes_its_place(
    tmp_path: Path, health: Health
) -> None:
    path = tmp_path / "m.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server = MetricsServer(Address(path=path), pages(health, Metrics(health)))
    server.start()
    try:
        assert path.stat().st_mode & 0o777 == 0o660
    finally:
        server.stop()


def test_start_at_a_file_that_is_no_socket_leaves_it(tmp_path: Path, health: Health) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text("mine")
    with pytest.raises(StorageError, match="cannot be had"):
        MetricsServer(Address(path=path), pages(health, Metrics(health))).start()
    assert path.read_text() == "mine"
