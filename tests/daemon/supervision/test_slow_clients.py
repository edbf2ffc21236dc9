"""Tests for daemon.supervision.metrics_server: clients that are slow, silent or many."""

from __future__ import annotations

import errno
import socket
import threading
import time
from http import HTTPStatus

import pytest

from daemon.config.metrics_config import Address
from daemon.health.health import Health
from daemon.health.metrics import Metrics
from daemon.supervision import metrics_server
from daemon.supervision.http_request import Page
from daemon.supervision.metrics_server import MetricsServer, pages
from tests.daemon.supervision.metrics_client import Connect, get
from tests.support.waiting import until


def is_cut_off(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


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
