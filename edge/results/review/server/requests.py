"""What a request carries: the session of its cookie, the person, and its JSON."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request

from edge.files.strict_json import parse_json
from edge.results.document.result import Person
from edge.results.review.server.guard.answers import NO_SESSION, RequestError
from edge.results.review.server.guard.rules import LONGEST_BODY
from edge.results.review.server.sessions import Session, Sessions

# Whom the tab takes for the one who is logged in: the id, percent-encoded.
PERSON_HEADER: Final = "edge-person"
_ID: Final = re.compile(r"[0-9A-Fa-f]{20}")


class Visitors:
    """Finds who asks."""

    def __init__(self, sessions: Sessions, cookie: str) -> None:
        """Look for sessions in a cookie of this name."""
        self.sessions = sessions
        self.cookie = cookie

    def session(self, request: Request) -> Session:
        """The session that the request belongs to.

        Raises:
            RequestError: none.
        """
        secret = request.cookies.get(self.cookie)
        session = self.sessions.find(secret) if secret else None
        if session is None:
            raise RequestError(403, "no_session", NO_SESSION)
        return session

    def person(self, request: Request) -> Person:
        """Who is logged in.

        Raises:
            RequestError: nobody, or no session.
        """
        session = self.session(request)
        if session.person is None:
            raise RequestError(401, "no_person", "nobody is logged in; choose your name")
        self.require_same(request, session)
        if request.method == "POST":
            # The page asks for news by itself; what it posts comes of a person.
            self.sessions.keep(session)
        return session.person

    def require_same(self, request: Request, session: Session) -> None:
        """Refuse what a tab asks for another person than the one who is logged in.

        All tabs of a browser have one session. A tab that shows one person's work must not record
        it under the name of another, who has logged in beside it.

        Raises:
            RequestError: the tab names another person.
        """
        meant = request.headers.get(PERSON_HEADER)
        if meant is None or session.person is None:
            return
        if unquote(meant) != session.person.id:
            text = "another person has logged in with this browser; choose your name"
            raise RequestError(401, "no_person", text)


def id_of(request: Request, name: str) -> str:
    """An id in the path, as the desk gives it.

    Raises:
        RequestError: it is none.
    """
    value: str = request.path_params[name]
    if not _ID.fullmatch(value):
        raise RequestError(404, "unknown", "this address has no slide or image")
    return value


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was posted.

    Raises:
        RequestError: it is none.
    """
    content = bytearray()
    try:
        async for part in request.stream():
            content += part
            if len(content) > LONGEST_BODY:
                raise RequestError(413, "too_large", "the body is too long")
    except ClientDisconnect as error:
        # Nobody gets this answer.
        raise RequestError(400, "bad_request", "the body is cut off") from error
    try:
        value = parse_json(bytes(content), has_unique_keys=True)
    except ValueError as error:
        raise RequestError(400, "bad_request", "the body is no JSON") from error
    if not isinstance(value, dict):
        raise RequestError(400, "bad_request", "the body is no JSON object")
    return value
