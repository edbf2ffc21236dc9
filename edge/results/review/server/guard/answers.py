"""Answers in JSON, and errors as answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import PlainTextResponse, Response

NO_SESSION = (
    "this page is not open in this browser any more. Open a new address: press Enter in the window "
    "in which edge-results review runs."
)


class RequestError(Exception):
    """The request gets this error as its answer.

    Attributes:
        more: further keys of the error.
    """

    def __init__(self, status: int, code: str, text: str, **more: Any) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.more = more


def json_answer(value: Mapping[str, Any], status: int = 200) -> Response:
    """A JSON document."""
    content = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(content.encode(), status, media_type="application/json")


def error_answer(status: int, code: str, text: str, **more: Any) -> Response:
    """An error for the page's script."""
    return json_answer({"error": {"code": code, "text": text, **more}}, status)


def text_answer(status: int, text: str) -> Response:
    """An error for a person who has opened an address."""
    return PlainTextResponse(f"{text[:1].upper()}{text[1:]}\n", status)
