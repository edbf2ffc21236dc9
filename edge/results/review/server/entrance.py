"""How a browser gets in, and how a person becomes known there."""

from __future__ import annotations

import math
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge import __version__
from edge.results.document.result import CELL_CLASSES, NOT_COUNTED, Person
from edge.results.document.strict_fields import StrictFields
from edge.results.review.people.people import People, WaitError
from edge.results.review.server.desk_calls import DeskCalls
from edge.results.review.server.guard.answers import RequestError, json_answer, text_answer
from edge.results.review.server.peer import is_own_user
from edge.results.review.server.requests import Visitors, body_of
from edge.results.review.server.sessions import Session
from edge.results.settings.review_config import ReviewConfig

_USED: Final = (
    "this address was used already, or a newer one was made. Press Enter in the window in which "
    "edge-results review runs: it shows a new address."
)


class Entrance:
    """The routes before a person is known."""

    def __init__(
        self, config: ReviewConfig, people: People, visitors: Visitors, calls: DeskCalls
    ) -> None:
        self._config = config
        self._people = people
        self._visitors = visitors
        self._calls = calls

    async def enter(self, request: Request) -> Response:
        """Exchange the token of a printed address for a cookie."""
        if request.method != "GET":
            raise RequestError(405, "bad_request", "an address is opened with GET")
        secret = self._visitors.sessions.enter(
            request.query_params.get("token", ""),
            is_own_browser=lambda: is_own_user(request.scope["client"], request.scope["server"]),
        )
        if secret is None:
            try:
                self._visitors.session(request)
            except RequestError:
                return text_answer(403, _USED)
        answer = RedirectResponse("/", 303)
        if secret is not None:
            answer.set_cookie(
                self._visitors.cookie,
                secret,
                httponly=True,
                samesite="strict",
                secure=self._config.certificate is not None,
            )
        return answer

    async def session(self, request: Request) -> Response:
        """Who is here, and what the page must know of the site."""
        return json_answer(self._describe(self._visitors.session(request)))

    async def login(self, request: Request) -> Response:
        """Somebody says who it is, with the PIN."""
        session = self._visitors.session(request)
        fields = StrictFields(await body_of(request))
        id_, pin = fields.text("person"), fields.any_text("pin")
        fields.close()
        if self._people.alone is None:
            self._visitors.sessions.log_in(session, await self.check_pin(id_, pin))
        return json_answer(self._describe(session))

    async def logout(self, request: Request) -> Response:
        """Nobody is here any more."""
        session = self._visitors.session(request)
        StrictFields(await body_of(request)).close()
        self._visitors.require_same(request, session)
        self._visitors.sessions.log_out(session)
        return json_answer(self._describe(session))

    async def here(self, request: Request) -> Response:
        """The person uses the page without changing anything."""
        self._visitors.person(request)
        StrictFields(await body_of(request)).close()
        return json_answer({})

    async def check_signature(self, person: Person, pin: Any) -> None:
        """Require the PIN of the one who signs, where the site wants it.

        Raises:
            RequestError: it is missing, wrong, or there were too many wrong ones.
        """
        if not self._asks_at_signing:
            if pin is not None:
                raise RequestError(400, "bad_request", "pin is not asked for here")
        elif isinstance(pin, str):
            await self.check_pin(person.id, pin)
        else:
            raise RequestError(403, "wrong_pin", "the signature needs your PIN")

    async def check_pin(self, id_: str, pin: str) -> Person:
        """The person with this id, whose PIN it is.

        Raises:
            RequestError: it is not.
        """
        try:
            attempt = self._people.open_attempt(id_, pin)
        except WaitError as error:
            seconds = math.ceil(error.wait_s)
            raise RequestError(
                423, "locked", f"too many wrong PINs; wait {seconds} s", wait_s=seconds
            ) from error
        is_right = attempt is not None and await self._calls.compared(attempt.is_right)
        if attempt is None or not is_right:
            raise RequestError(403, "wrong_pin", "this is not the PIN of this person")
        self._people.close_attempt(attempt, is_right=True)
        return attempt.person

    @property
    def _asks_at_signing(self) -> bool:
        return self._people.alone is None and self._config.pin_at_signing

    def _describe(self, session: Session) -> dict[str, Any]:
        return {
            "person": _person(session.person) if session.person else None,
            "people": [_person(one) for one in self._people.everyone],
            "needs_pin": self._people.alone is None,
            "pin_at_signing": self._asks_at_signing,
            "second_reader": self._config.is_blind,
            "pixel_size_um": self._config.pixel_size_um,
            "classes": list(CELL_CLASSES),
            "others": list(NOT_COUNTED),
            "idle_min": self._config.idle_min,
            "version": __version__,
        }


def _person(person: Person) -> dict[str, str]:
    return {"id": person.id, "name": person.name}
