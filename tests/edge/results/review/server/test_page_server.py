from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from edge.errors import ConfigError, StorageError
from edge.results.document.result import Person
from edge.results.review.people.people import People
from edge.results.review.refusal import Refusal, RefusalCode
from edge.results.review.server.desk_protocol import DeskLike
from edge.results.review.server.page_server import Surroundings, open_page
from edge.results.settings.review_config import ReviewConfig
from tests.support.review_server import (
    IMAGE,
    JPEG,
    KEY,
    MINA,
    OTTO,
    PIN,
    Client,
    RunningPage,
    StandInDesk,
    running_page,
)

ENTRIES = f"/api/slides/{KEY}/entries"
SIGN = f"/api/slides/{KEY}/sign"


@pytest.fixture
def alone() -> Iterator[RunningPage]:
    """A page of the system's user."""
    with running_page() as running:
        yield running


@pytest.fixture
def listed() -> Iterator[RunningPage]:
    """A page of people with PINs."""
    with running_page(ReviewConfig(port=0, people=(MINA, OTTO))) as running:
        yield running


def test_address_opened_once_gives_a_cookie_for_this_page_alone(alone: RunningPage) -> None:
    client = Client(alone)
    address = alone.page.new_address()
    assert address.startswith(f"http://127.0.0.1:{alone.port}/enter?token=")
    reply = client.enter(address.partition("token=")[2])
    cookie = reply.headers["set-cookie"]
    assert (reply.status, reply.headers["location"]) == (303, "/")
    assert cookie.startswith(f"edge_review_{alone.port}=")
    assert "HttpOnly; Path=/; SameSite=strict" in cookie
    assert "Max-Age" not in cookie
    assert client.get("/").status == 200


def test_address_opened_again_lets_in_the_same_browser_alone(alone: RunningPage) -> None:
    token = alone.page.new_address().partition("token=")[2]
    client, other = Client(alone), Client(alone)
    client.enter(token)
    again, foreign = client.enter(token), other.enter(token)
    assert (again.status, again.headers["set-cookie"]) == (303, None)
    assert (foreign.status, foreign.headers["set-cookie"]) == (403, None)
    assert b"was used already" in foreign.content


def test_address_after_a_newer_one_lets_nobody_in(alone: RunningPage) -> None:
    older = alone.page.new_address().partition("token=")[2]
    newer = alone.page.new_address().partition("token=")[2]
    assert Client(alone).enter(older).status == 403
    assert Client(alone).enter(newer).status == 303


def test_page_files_come_with_their_kind_and_the_headers(alone: RunningPage) -> None:
    client = alone.client()
    for path, name in (("/", b"/*index.html*/"), ("/review.js", b"/*review.js*/")):
        reply = client.get(path)
        assert reply.content == name
        assert reply.headers["content-security-policy"].startswith("default-src 'none'; ")
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["server"] is None


def test_system_user_is_known_at_once_and_without_a_pin(alone: RunningPage) -> None:
    client = alone.client()
    session = client.get("/api/session").json
    assert session["person"] == {"id": "lab", "name": "Lab User"}
    assert session["people"] == []
    assert not session["needs_pin"]
    assert not session["pin_at_signing"]
    assert client.post("/api/logout", {}).json["person"] is not None
    assert client.post(SIGN, {"request": "1", "pin": None}).status == 200
    assert alone.desk.recorded == [("lab", "system", {"request": "1"})]


def test_person_with_the_right_pin_decides_under_the_own_name(listed: RunningPage) -> None:
    client = listed.client()
    assert client.get("/api/slides").code == "no_person"
    assert client.log_in().json["person"] == {"id": "mm", "name": "Dr. Mina Müller"}
    assert client.get("/api/slides").json["for"] == "mm"
    assert client.post(ENTRIES, {"request": "1"}).json == {"entry": 1}
    assert listed.desk.recorded == [("mm", "pin", {"request": "1"})]


@pytest.mark.parametrize("pin", [None, "battery staple", 7, ["correct horse"]])
def test_signature_without_the_own_pin_is_not_recorded(listed: RunningPage, pin: object) -> None:
    client = listed.client()
    client.log_in()
    reply = client.post(SIGN, {"request": "1", "pin": pin})
    assert (reply.status, reply.code) == (403, "wrong_pin")
    assert listed.desk.recorded == []
    assert client.get("/api/session").json["person"]["id"] == "mm"


def test_signature_with_the_pin_reaches_the_desk_without_it(listed: RunningPage) -> None:
    client = listed.client()
    client.log_in()
    assert client.post(SIGN, {"request": "1", "pin": PIN}).status == 200
    assert listed.desk.recorded == [("mm", "pin", {"request": "1"})]


def test_signature_where_the_site_asks_for_no_pin_takes_none() -> None:
    config = ReviewConfig(port=0, people=(MINA,), pin_at_signing=False)
    with running_page(config) as running:
        client = running.client()
        client.log_in()
        assert client.post(SIGN, {"request": "1", "pin": PIN}).status == 400
        assert client.post(SIGN, {"request": "1"}).status == 200


def test_person_away_for_long_is_asked_again_and_polling_counts_as_away(
    listed: RunningPage,
) -> None:
    client = listed.client()
    client.log_in()
    statuses = []
    for _ in range(4):
        listed.clock.now += 200
        statuses.append(client.get(f"/api/slides/{KEY}/entry").status)
    assert statuses == [200, 200, 401, 401]
    assert client.post(ENTRIES, {}).code == "no_person"
    assert client.get("/api/session").json["person"] is None
    assert listed.desk.recorded == []


def test_person_at_the_page_stays_known(listed: RunningPage) -> None:
    client = listed.client()
    client.log_in()
    for _ in range(5):
        listed.clock.now += 400
        assert client.post("/api/here", {}).json == {}
    assert client.get("/api/session").json["person"]["id"] == "mm"


def test_wrong_pins_make_the_person_wait_and_others_not(listed: RunningPage) -> None:
    client = listed.client()
    codes = [client.log_in(pin="wrong pin").code for _ in range(6)]
    assert codes == ["wrong_pin"] * 5 + ["locked"]
    reply = client.log_in()
    assert (reply.status, reply.json["error"]["wait_s"]) == (423, 30)
    assert client.log_in("ok", "battery staple").status == 200
    listed.clock.now += 30
    assert client.log_in().status == 200


@pytest.mark.parametrize("path", [ENTRIES, SIGN, "/api/logout", "/api/here"])
def test_request_of_a_tab_whose_person_another_one_has_replaced_is_refused(
    listed: RunningPage, path: str
) -> None:
    client = listed.client()
    client.log_in("mm")
    client.log_in("ok", "battery staple")
    client.person = "mm"
    refused = client.post(path, {"pin": PIN} if path == SIGN else {})
    assert (refused.status, refused.code) == (401, "no_person")
    assert client.get(f"/api/slides/{KEY}").status == 401
    assert listed.desk.recorded == []
    client.person = "ok"
    assert client.get(f"/api/slides/{KEY}").json["for"] == "ok"


def test_images_and_reference_come_by_id(alone: RunningPage) -> None:
    client = alone.client()
    reply = client.get(f"/images/{KEY}/{IMAGE}")
    assert (reply.content, reply.headers["content-type"]) == (JPEG, "image/jpeg")
    assert client.get("/api/reference").json == {"classes": {"neutrophil": [IMAGE]}}
    assert client.get(f"/reference/{IMAGE}").content == JPEG
    assert client.get(f"/images/{KEY}/{KEY}").status == 404


def test_desk_is_called_in_one_thread(alone: RunningPage) -> None:
    client = alone.client()
    for path in ("", f"/{KEY}", f"/{KEY}/entry", f"/{KEY}/differential"):
        assert client.get(f"/api/slides{path}").status == 200
    client.post(ENTRIES, {})
    assert len(alone.desk.threads) == 1


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Refusal(RefusalCode.NOT_READY, "cells are open", problems=[]), 409, "not_ready"),
        (StorageError("the disk is full. Make space."), 503, "storage"),
        (RuntimeError("SECRET-1"), 500, "unexpected"),
    ],
)
def test_failing_desk_becomes_an_answer(
    alone: RunningPage, error: Exception, status: int, code: str
) -> None:
    client = alone.client()
    alone.desk.failing = error
    reply = client.post(ENTRIES, {})
    assert (reply.status, reply.code) == (status, code)
    assert "SECRET-1" not in json.dumps([reply.json, alone.lines])
    alone.desk.failing = None
    assert client.post(ENTRIES, {}).status == 200


def test_desk_that_cannot_be_opened_ends_it_with_its_error() -> None:
    def opening() -> AbstractContextManager[DeskLike]:
        raise ConfigError("no such folder.")

    config = ReviewConfig(port=0)
    surroundings = Surroundings(opening, lambda _: (b"", ""), lambda _: None)
    with (
        pytest.raises(ConfigError, match="no such folder"),
        open_page(config, People(), surroundings),
    ):
        pass


def test_decision_in_hand_when_the_page_ends_is_recorded_and_answered() -> None:
    begun, may_end = threading.Event(), threading.Event()

    class SlowDesk(StandInDesk):
        def decide(
            self, person: Person, login: str, key: str, body: dict[str, Any], /
        ) -> dict[str, Any]:
            begun.set()
            assert may_end.wait(20)
            return super().decide(person, login, key, body)

    desk = SlowDesk()
    with ThreadPoolExecutor(1) as pool:
        with running_page(opening=lambda: nullcontext(desk)) as page:
            reply = pool.submit(page.client().post, ENTRIES, {"request": "1"})
            assert begun.wait(20)
            page.page.end()
            may_end.set()
        assert reply.result().json == {"entry": 1}
    assert len(desk.recorded) == 1


def test_page_that_ended_answers_no_more_and_frees_its_port() -> None:
    with running_page() as page:
        client = page.client()
    with pytest.raises(ConnectionRefusedError):
        client.get("/api/slides")
