"""Attacks by socket: each is refused, nothing is recorded, and the page goes on."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support.attacks.raw import ENTRIES, RAW, Request, Target
from tests.support.review_server import Client, RunningPage, running_page

REFUSED = frozenset({400, 401, 403, 404, 405, 411, 413, 415, 431})


@pytest.fixture(scope="module")
def page() -> Iterator[RunningPage]:
    """One page for all attacks: after each it must still work."""
    with running_page() as running:
        yield running


@pytest.fixture(scope="module")
def client(page: RunningPage) -> Client:
    return Client(page)


@pytest.fixture(scope="module")
def target(page: RunningPage, client: Client) -> Target:
    token = page.page.new_address().partition("token=")[2]
    client.enter(token)
    return Target(page.host, page.origin, client.cookie, token)


def sent(port: int, content: bytes) -> bytes:
    """What the server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        # It may be refused before all was sent or read.
        with suppress(ConnectionError):
            connection.sendall(content)
        answer = b""
        with suppress(ConnectionError):
            while part := connection.recv(65536):
                answer += part
        return answer


def statuses(answer: bytes) -> list[int]:
    """Of every answer that came."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 ([0-9]+)", answer)]


def test_request_with_nothing_wrong_is_recorded(page: RunningPage, target: Target) -> None:
    page.desk.recorded.clear()
    assert statuses(sent(page.port, Request()(target))) == [200]
    assert len(page.desk.recorded) == 1


@pytest.mark.parametrize("name", RAW)
def test_attack_is_refused_and_nothing_is_recorded(
    page: RunningPage, target: Target, client: Client, name: str
) -> None:
    page.desk.recorded.clear()
    answer = sent(page.port, RAW[name](target))
    assert set(statuses(answer)) <= REFUSED
    assert page.desk.recorded == []
    assert b"SECRET" not in answer
    assert b"root:" not in answer
    assert b"set-cookie" not in answer.lower()
    if answer:
        assert b"content-security-policy: default-src 'none'" in answer
        assert b"cache-control: no-store" in answer
    assert client.post(ENTRIES, {"request": "after"}).status == 200
