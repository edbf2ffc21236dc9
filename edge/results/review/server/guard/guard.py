"""Refuses requests before any other code of the server sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from edge.results.review.server.guard.answers import error_answer
from edge.results.review.server.guard.rules import Facts, Wrong, wrong_with

# Of the error, by status.
_CODES: Final = {403: "refused", 413: "too_large", 415: "content_type"}


class Guard:
    """The outermost layer of the application."""

    def __init__(
        self, app: ASGIApp, origins: frozenset[str], refused: Callable[[str], None]
    ) -> None:
        """Guard an application.

        Args:
            origins: see `rules.wrong_with`.
            refused: gets the reason of each refusal.
        """
        self._app = app
        self._origins = origins
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        wrong = Wrong(400, "it is no HTTP request")
        if scope["type"] == "http":
            found = wrong_with(_facts(scope), self._origins)
            if found is None:
                await self._app(scope, receive, send)
                return
            wrong = found
        self._refused(wrong.reason)
        code = _CODES.get(wrong.status, "bad_request")
        answer = error_answer(wrong.status, code, f"the request was refused: {wrong.reason}")
        # Its body, if it has one, is not read.
        answer.headers["connection"] = "close"
        await answer(scope, receive, send)


def _facts(scope: Scope) -> Facts:
    return Facts(
        scope["method"].encode(),
        scope["raw_path"],
        scope["query_string"],
        scope["http_version"],
        tuple(scope["headers"]),
    )
