"""Tests for the metrics server: real sockets, and clients that do what they should not."""

from __future__ import annotations

import json
import os
import socket
import threading
from http import HTTPStatus
from pathlib import Path

import pytest

from daemon.config.metrics_config import Address
from daemon.health.health import Health
from daemon.health.metrics import Metrics
from daemon.supervision.metrics_server import MetricsServer, pages
from edge.errors import StorageError
from tests.daemon.supervision.metrics_client import Connect, ask, get


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
