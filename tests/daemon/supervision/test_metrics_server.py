"""Tests for the metrics server: real sockets, and clients that do what they should not."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from daemon.config.metrics_config import Address
from daemon.health.health import Health
from daemon.health.metrics import Metrics
from daemon.supervision import metrics_server
from daemon.supervision.http_request import Page
from daemon.supervision.metrics_server import MetricsServer, pages
from edge.errors import StorageError
from tests.support.waiting import until

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
    return ask(connect, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")


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


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET /../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", HTTPStatus.NOT_FOUND),
        ("GET http://localhost/health HTTP/1.0\r\n\r\n", HTTPStatus.NOT_FOUND),
        ("GET /health HTTP/1.0\r\n\r\n", HTTPStatus.OK),
        (
            "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
            + "x" * 100_000,
            HTTPStatus.METHOD_NOT_ALLOWED,
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", HTTPStatus.METHOD_NOT_ALLOWED),
        (f"GET /{'x' * 70_000} HTTP/1.1\r\n\r\n", HTTPStatus.REQUEST_URI_TOO_LONG),
        ("x" * 70_000, HTTPStatus.REQUEST_URI_TOO_LONG),
        (
            f"GET /health HTTP/1.1\r\nHost: localhost\r\n{'X: y' * 5000}",
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        ),
        ("GET /health HTTP/2.0\r\n\r\n", HTTPStatus.BAD_REQUEST),
        ("GET /health\r\n\r\n", HTTPStatus.BAD_REQUEST),
        ("\x16\x03\x01\r\n\r\n", HTTPStatus.BAD_REQUEST),
    ],
)
def test_requests_get_their_status(connect: Connect, request_: str, status: HTTPStatus) -> None:
    found, head, body = ask(connect, request_)
    assert found == status
    assert int(head.lower().partition("content-length: ")[2].split()[0]) == len(body)
    assert "Python" not in head
    assert get(connect, "/health")[0] == HTTPStatus.OK


def test_head_gives_the_header_alone_and_a_second_request_nothing(connect: Connect) -> None:
    request = "HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    status, head, body = ask(connect, request * 3)
    assert (status, body) == (HTTPStatus.OK, "")
    assert head.count("HTTP/1.1") == 1
    assert "Connection: close" in head


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Host: localhost", HTTPStatus.OK),
        ("hOST:  LocalHost:9464 ", HTTPStatus.OK),
        ("Host: 127.0.0.1", HTTPStatus.OK),
        ("Host: [::1]:9464", HTTPStatus.OK),
        ("Host: evil.example", HTTPStatus.MISDIRECTED_REQUEST),
        ("Host: localhost.evil.example:9464", HTTPStatus.MISDIRECTED_REQUEST),
        ("Host: 127.0.0.1.nip.io", HTTPStatus.MISDIRECTED_REQUEST),
        ("Host: 0.0.0.0", HTTPStatus.MISDIRECTED_REQUEST),
        ("Host: 127.0.0.1@evil.example", HTTPStatus.MISDIRECTED_REQUEST),
        ("Host:", HTTPStatus.MISDIRECTED_REQUEST),
        (f"Host: {' ' * 7000}\x01", HTTPStatus.MISDIRECTED_REQUEST),
        ("User-Agent: Jos\u00e9\r\nHost: localhost", HTTPStatus.OK),
        ("Host: localhost\r\nHost: evil.example", HTTPStatus.BAD_REQUEST),
        ("Host: localhost\r\n X: folded", HTTPStatus.BAD_REQUEST),
        ("Accept: text/plain", HTTPStatus.BAD_REQUEST),
    ],
)
def test_host_that_is_not_this_machine_is_refused(
    connect: Connect, address: Address, header: str, status: HTTPStatus
) -> None:
    found, _, body = ask(connect, f"GET /health HTTP/1.1\r\n{header}\r\n\r\n")
    # A browser cannot be led to a socket.
    assert found == (status if address.path is None else HTTPStatus.OK)
    assert ("canary_age_s" in body) == (found == HTTPStatus.OK)


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


def test_crowd_of_slow_clients_turns_nobody_away_and_takes_no_thread(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None of them is cut off by its time.
    monkeypatch.setattr(metrics_server, "_REQUEST_S", 600.0)
    before = threading.active_count()
    crowd = []
    for number in range(3 * metrics_server.MOST_CLIENTS):
        crowd.append(connect())
        crowd[-1].sendall(b"GET /metrics HTTP/1.1\r\n")
        crowd[-1].settimeout(0)
        if number % 10 == 0:
            assert get(connect, "/health")[0] == HTTPStatus.OK
    assert threading.active_count() == before
    until(lambda: sum(map(is_cut_off, crowd)) >= len(crowd) - metrics_server.MOST_CLIENTS)
    # The newest are still served.
    assert not is_cut_off(crowd[-1])
    crowd[-1].settimeout(10)
    crowd[-1].sendall(b"Host: localhost\r\n\r\n")
    assert crowd[-1].recv(15) == b"HTTP/1.1 200 OK"
    for client in crowd:
        client.close()


def test_client_that_does_not_read_its_answer_delays_nobody(
    address: Address,
) -> None:
    large = b"x" * 50_000_000
    server = MetricsServer(address, {"/large": lambda: (HTTPStatus.OK, "text/plain", large)})
    server.start()
    try:
        family = socket.AF_UNIX if address.path else socket.AF_INET
        place = str(address.path) if address.path else (address.host, address.port)
        with socket.socket(family) as lazy, socket.socket(family) as other:
            for client in (lazy, other):
                client.settimeout(10)
                client.connect(place)
                client.sendall(b"GET /large HTTP/1.0\r\n\r\n")
            read = iter(lambda: len(other.recv(1 << 20)), 0)
            assert sum(read) > len(large)
    finally:
        server.stop()


def test_page_that_fails_is_said_and_the_next_client_is_served(
    address: Address, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> Page:
        raise ZeroDivisionError

    server = MetricsServer(
        address, {"/bad": fail, "/good": lambda: (HTTPStatus.OK, "text/plain", b"fine")}
    )
    server.start()
    try:
        for path, answer in (("/bad", b""), ("/good", b"fine")):
            family = socket.AF_UNIX if address.path else socket.AF_INET
            with socket.socket(family) as client:
                client.settimeout(10)
                client.connect(str(address.path) if address.path else (address.host, address.port))
                client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                found = b"".join(iter(lambda: client.recv(65536), b""))
            assert found.endswith(answer)
            assert bool(found) == bool(answer)
    finally:
        server.stop()
    assert "making a page of the metrics failed: ZeroDivisionError" in caplog.text


def test_no_descriptor_for_a_client_cuts_off_the_oldest(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, refused = socket.socket.accept, threading.Event()

    def refuse_once(listener: socket.socket) -> tuple[socket.socket, object]:
        if not refused.is_set():
            refused.set()
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(listener)

    with connect() as oldest:
        assert get(connect, "/health")[0] == HTTPStatus.OK
        monkeypatch.setattr(socket.socket, "accept", refuse_once)
        assert get(connect, "/health")[0] == HTTPStatus.OK
        assert refused.is_set()
        assert oldest.recv(1) == b""


def test_start_without_a_thread_is_an_error_and_can_be_tried_again(
    address: Address, health: Health
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    server = MetricsServer(address, pages(health, Metrics(health)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StorageError, match="no thread for"):
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
    with pytest.raises(
        StorageError, match=r"cannot be used .*in use.* Stop the program that listens there"
    ):
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
    with pytest.raises(StorageError, match="cannot be used"):
        MetricsServer(Address(path=path), pages(health, Metrics(health))).start()
    assert path.read_text() == "mine"
