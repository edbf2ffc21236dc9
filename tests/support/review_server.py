"""A running review page for tests, with a stand-in for the desk, and a client as a browser is."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from edge.results.document.result import Person
from edge.results.review.people.people import People
from edge.results.review.people.pin_hash import PinHash
from edge.results.review.refusal import Refusal, RefusalCode
from edge.results.review.server.connections.protocol import Limits
from edge.results.review.server.desk_protocol import DeskLike
from edge.results.review.server.page_server import PageServer, Surroundings, open_page
from edge.results.settings.review_config import ReviewConfig, ReviewPerson
from tests.support.images import colour_jpeg
from tests.support.waiting import until

KEY: Final = "0123456789ABCDEF0123"
IMAGE: Final = "00000000000000000001"
# A real one, so that a browser that gets it shows it.
JPEG: Final = colour_jpeg("red")
PIN: Final = "correct horse"
USER: Final = Person("lab", "Lab User")
MINA: Final = ReviewPerson("mm", "Dr. Mina Müller", str(PinHash.of(PIN)))
OTTO: Final = ReviewPerson("ok", "Otto Kern", str(PinHash.of("battery staple")))


@dataclass
class StandInDesk:
    """A desk with one slide, which notes what is asked of it.

    Attributes:
        recorded: what would be in the record: who, how known, and the request's body.
        threads: in which threads the desk itself was called.
        failing: is raised by every call.
    """

    recorded: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    failing: Exception | None = None

    @property
    def images(self) -> StandInImages:
        return StandInImages()

    @property
    def reference(self) -> StandInReference:
        return StandInReference()

    def slides(self, person: Person, /) -> dict[str, Any]:
        self._called(KEY)
        return {"slides": [{"key": KEY, "sample_id": "SECRET-1"}], "for": person.id}

    def slide(self, person: Person, key: str, /) -> dict[str, Any]:
        self._called(key)
        return {"slide": {"key": key}, "for": person.id, "cells": [{"id": IMAGE}]}

    def entry(self, key: str, /) -> dict[str, Any]:
        self._called(key)
        return {"entry": len(self.recorded), "revision": 0}

    def differential_job(self, person: Person, key: str, /) -> Callable[[], dict[str, Any]]:
        self._called(key)
        return lambda: {"entry": len(self.recorded), "for": person.id}

    def decide(
        self, person: Person, login: str, key: str, body: dict[str, Any], /
    ) -> dict[str, Any]:
        self._called(key)
        self.recorded.append((person.id, login, body))
        return {"entry": len(self.recorded)}

    def sign(self, person: Person, login: str, key: str, body: dict[str, Any], /) -> dict[str, Any]:
        return self.decide(person, login, key, body)

    def _called(self, key: str) -> None:
        self.threads.add(threading.current_thread().name)
        if self.failing is not None:
            raise self.failing
        if key != KEY:
            raise Refusal(RefusalCode.UNKNOWN, "no slide has this key")


class StandInImages:
    def read(self, key: str, wanted: str, /) -> tuple[bytes, str]:
        if (key, wanted) != (KEY, IMAGE):
            raise Refusal(RefusalCode.UNKNOWN, "no slide has this image")
        return JPEG, "image/jpeg"


class StandInReference:
    def classes(self) -> dict[str, list[str]]:
        return {"neutrophil": [IMAGE]}

    def read(self, image: str, /) -> tuple[bytes, str]:
        return StandInImages().read(KEY, image)


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class RunningPage:
    """A page that is being served.

    Attributes:
        lines: what was told to those who run it.
    """

    page: PageServer
    desk: StandInDesk
    clock: Clock
    lines: list[str]

    @property
    def port(self) -> int:
        return self.page.listening.port

    @property
    def origin(self) -> str:
        return self.page.listening.origins[0]

    @property
    def host(self) -> str:
        return self.origin.partition("://")[2]

    def client(self) -> Client:
        """A browser that was let in."""
        client = Client(self)
        client.enter()
        return client


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """Of an error."""
        return str(self.json["error"]["code"])


class Client:
    """Sends what the page's own script would send."""

    def __init__(self, running: RunningPage) -> None:
        self.running = running
        self.cookie = ""
        # Whom a tab takes for the one who is logged in.
        self.person = ""

    def enter(self, token: str | None = None) -> Reply:
        """Open a printed address; a new one unless a token is given."""
        token = token or self.running.page.new_address().partition("token=")[2]
        reply = self.ask("GET", f"/enter?token={token}", site="none", dest="document")
        if set_cookie := reply.headers["set-cookie"]:
            self.cookie = set_cookie.partition(";")[0]
        return reply

    def get(self, path: str) -> Reply:
        return self.ask("GET", path)

    def post(self, path: str, body: Any) -> Reply:
        return self.ask("POST", path, json.dumps(body).encode())

    def log_in(self, id_: str = "mm", pin: str = PIN) -> Reply:
        return self.post("/api/login", {"person": id_, "pin": pin})

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        site: str = "same-origin",
        dest: str = "empty",
    ) -> Reply:
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": dest}
        if self.person:
            headers["Edge-Person"] = quote(self.person)
        if self.cookie:
            headers["Cookie"] = self.cookie
        if body is not None:
            headers |= {"Origin": self.running.origin, "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()


def _page_file(name: str) -> tuple[bytes, str]:
    """A file whose content is its name, as a comment of its kind."""
    kind = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
    return f"/*{name}*/".encode(), kind.get(name.partition(".")[2], "application/json")


@contextmanager
def running_page(
    config: ReviewConfig | None = None,
    *,
    opening: Callable[[], AbstractContextManager[DeskLike]] | None = None,
    limits: Limits | None = None,
    page_file: Callable[[str], tuple[bytes, str]] | None = None,
) -> Iterator[RunningPage]:
    """Serve a page at a free port, in a thread.

    Args:
        config: None: the system's user alone.
        opening: gives another desk than the stand-in.
        page_file: gives the page's own files.
    """
    config = config or ReviewConfig(port=0)
    desk, clock, lines = StandInDesk(), Clock(), list[str]()
    people = People(config.people, user=lambda: USER, clock=clock)
    surroundings = Surroundings(
        opening or (lambda: nullcontext(desk)),
        page_file or _page_file,
        lines.append,
        clock,
        limits or Limits(),
    )
    with open_page(config, people, surroundings) as page:
        thread = threading.Thread(target=lambda: asyncio.run(page.run()))
        thread.start()
        try:
            until(lambda: page.server.started)
            yield RunningPage(page, desk, clock, lines)
        finally:
            page.end()
            thread.join(20)
    assert not thread.is_alive()
