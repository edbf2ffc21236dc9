"""What the page asks for and does not get."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class RefusalCode(StrEnum):
    """Why, as the page knows it."""

    BAD_REQUEST = "bad_request"
    UNKNOWN = "unknown"
    GONE = "gone"
    CHANGED = "changed"
    IMAGE_CHANGED = "image_changed"
    NOT_READY = "not_ready"


_STATUS = {
    RefusalCode.BAD_REQUEST: 400,
    RefusalCode.UNKNOWN: 404,
    RefusalCode.GONE: 404,
    RefusalCode.CHANGED: 409,
    RefusalCode.IMAGE_CHANGED: 409,
    RefusalCode.NOT_READY: 409,
}


class Refusal(Exception):  # noqa: N818 - an answer of the page, not a fault
    """An answer that is no success.

    Attributes:
        code: for programs.
        text: one line for people: what was found, and what to do.
        more: further fields of the answer, ready for JSON.
    """

    def __init__(self, code: RefusalCode, text: str, **more: Any) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.more = more

    @property
    def status(self) -> int:
        """Of HTTP."""
        return _STATUS[self.code]
