"""Attacks of several steps, by slowness, by number, and by links among the images."""

from __future__ import annotations

import os
import re
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from edge.results.review.desk.desk import Desk
from edge.results.review.server.connections.protocol import Limits
from edge.results.review.server.desk_protocol import DeskLike
from edge.results.settings.review_config import ReviewConfig
from tests.support.attacks.over_time import NOTE, OVER_TIME
from tests.support.attacks.raw import Request, Target
from tests.support.review_server import MINA, OTTO, Client, RunningPage, running_page
from tests.support.review_site import ReviewSite, mixed_cells

# The one limit short enough to wait for, the other never reached.
QUICK = {"head": Limits(head_s=1.0, body_s=600.0), "body": Limits(head_s=600.0, body_s=0.3)}


@pytest.mark.parametrize("name", OVER_TIME)
def test_attack_of_several_steps_is_refused(name: str) -> None:
    with running_page(ReviewConfig(port=0, people=(MINA, OTTO))) as page:
        reply = OVER_TIME[name](page)
        assert reply.status in {400, 401, 403, 423}
        assert page.desk.recorded == []
        assert b"SECRET" not in reply.content
        page.clock.now += 86400
        client = page.client()
        assert client.log_in().status == 200
        assert client.get("/api/slides").status == 200


def begun(request: Request, part: float) -> Callable[[Target], bytes]:
    """The first part of a request."""
    return lambda target: request(target)[: int(len(request(target)) * part)]


@pytest.mark.parametrize(
    ("beginning", "part"),
    [
        (lambda _: b"", "head"),
        (lambda _: b"G", "head"),
        (begun(Request(), 0.3), "head"),
        (begun(Request(), 0.99), "body"),
        # After a whole request on the same connection.
        (lambda t: Request("GET", "/api/slides", {"Connection": None})(t) + b"GET /", "head"),
    ],
    ids=["nothing", "one_byte", "half_a_head", "body", "second_head"],
)
def test_request_that_does_not_come_to_its_end_loses_its_connection(
    beginning: Callable[[Target], bytes], part: str
) -> None:
    with running_page(limits=QUICK[part]) as page:
        client = page.client()
        target = Target(page.host, page.origin, client.cookie, "")
        with socket.create_connection(("127.0.0.1", page.port), 20) as connection:
            connection.sendall(beginning(target))
            with suppress(ConnectionError):
                while connection.recv(65536):
                    pass
        assert page.lines == [f"a request was refused: its {part} did not come in time"]
        assert page.desk.recorded == []
        assert client.get("/api/slides").status == 200


def test_thousands_of_connections_keep_nobody_out() -> None:
    with running_page() as page:
        client = page.client()
        held: deque[socket.socket] = deque()
        try:
            for number in range(3000):
                held.append(socket.create_connection(("127.0.0.1", page.port), 20))
                if len(held) > 200:
                    held.popleft().close()
                if number % 500 == 0:
                    assert client.get("/api/slides").status == 200
            assert client.get("/api/slides").status == 200
        finally:
            for connection in held:
                connection.close()


def test_second_request_of_one_packet_is_guarded_as_the_first() -> None:
    with running_page() as page:
        client = page.client()
        target = Target(page.host, page.origin, client.cookie, "")
        good = Request(headers={"Connection": None})(target)
        evil = Request(headers={"Host": "evil.example"})(target)
        with socket.create_connection(("127.0.0.1", page.port), 20) as connection:
            connection.sendall(good + evil)
            answer = b""
            with suppress(ConnectionError):
                while part := connection.recv(65536):
                    answer += part
        assert re.findall(rb"HTTP/1\.1 ([0-9]+)", answer) == [b"200", b"403"]
        assert len(page.desk.recorded) == 1


def test_refusals_are_told_by_their_reason_alone_and_not_without_end() -> None:
    with running_page() as page:
        client = page.client()
        for _ in range(30):
            client.ask("GET", "/api/slides?sample=SECRET-1")
        assert page.lines == ["a request was refused: it has a query"] * 10
        page.clock.now += 60
        client.ask("GET", "/api/slides?sample=SECRET-1")
        assert page.lines[10:] == [
            "20 more requests refused",
            "a request was refused: it has a query",
        ]


@pytest.fixture
def site(tmp_path: Path) -> ReviewSite:
    site = ReviewSite(tmp_path)
    site.add_slide("S-26-001", mixed_cells({"neutrophil": 2}))
    site.config_file  # noqa: B018 - makes the folders
    return site


@pytest.fixture
def real(site: ReviewSite) -> Iterator[RunningPage]:
    """A page of real slides."""
    config = site.config

    def opening() -> AbstractContextManager[DeskLike]:
        @contextmanager
        def opened() -> Iterator[DeskLike]:
            with Desk.open(config.slides, config.review, config.state_dir) as desk:
                yield desk

        return opened()

    with running_page(opening=opening) as running:
        yield running


def _image(client: Client) -> tuple[str, str]:
    """Addresses of a slide and of its first image."""
    key = client.get("/api/slides").json["slides"][0]["key"]
    cell = client.get(f"/api/slides/{key}").json["cells"][0]["id"]
    return key, f"/images/{key}/{cell}"


def _link_image(site: ReviewSite) -> None:
    # The very bytes that were labelled, outside of the folder.
    for image in site.export.rglob("*.jpg"):
        outside = site.folder / f"outside-{image.name}"
        image.rename(outside)
        image.symlink_to(outside)


def _link_folder(site: ReviewSite) -> None:
    folder = next(site.export.rglob("*.jpg")).parent
    folder.rename(site.folder / "outside")
    folder.symlink_to(site.folder / "outside")


def _pipe(site: ReviewSite) -> None:
    for image in site.export.rglob("*.jpg"):
        image.unlink()
        os.mkfifo(image)


def _other_file(site: ReviewSite) -> None:
    for image in site.export.rglob("*.jpg"):
        image.write_bytes(b"\xff\xd8\xff SECRET")


@pytest.mark.parametrize("change", [_link_image, _link_folder, _pipe, _other_file])
def test_file_that_is_not_the_labelled_image_is_not_given(
    site: ReviewSite, real: RunningPage, change: Callable[[ReviewSite], None]
) -> None:
    client = real.client()
    _, address = _image(client)
    assert client.get(address).content.startswith(b"\xff\xd8\xff")
    change(site)
    reply = client.get(address)
    assert reply.status in {404, 409}
    assert b"\xff\xd8\xff" not in reply.content


def test_decision_for_somebody_else_is_not_recorded(real: RunningPage) -> None:
    client = real.client()
    key, _ = _image(client)
    body = {**NOTE, "by": {"id": "mm", "name": "Dr. Mina Müller"}}
    assert client.post(f"/api/slides/{key}/entries", body).status == 400
    assert client.get(f"/api/slides/{key}/entry").json["entry"] == 0
    assert client.post(f"/api/slides/{key}/entries", NOTE).status == 200
    assert client.get(f"/api/slides/{key}").json["notes"][0]["by"]["id"] == "lab"
