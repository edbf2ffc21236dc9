"""What the page sends, checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from edge.results.document.strict_fields import StrictFields
from edge.results.review.record.entry import Action
from edge.results.review.refusal import Refusal, RefusalCode
from edge.results.verification.verification_file import LABELS

T = TypeVar("T")

_REQUEST: Final = re.compile(r"[0-9a-f]{32}")
_MOST_CELLS: Final = 20_000
LONGEST_TEXT: Final = 2000


@dataclass(frozen=True, slots=True)
class Decide:
    """Labels for cells.

    Attributes:
        cells: by id, the label that the page shows.
        label: for all of them; None: the label of each is right.
    """

    request: str
    cells: dict[str, str | None]
    label: str | None


@dataclass(frozen=True, slots=True)
class Other:
    """An undo, a note, or the end of a blind reading."""

    request: str
    action: Action
    undoes: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Sign:
    """A signature under what the page shows.

    Attributes:
        entry: the slide's last one.
        revision: the last one issued.
        shown: digest of the differential that the page shows.
    """

    request: str
    entry: int
    revision: int
    shown: str
    reason: str


def read_entry(body: Any) -> Decide | Other:
    """The body of a decision, an undo, a note or a finish.

    Raises:
        Refusal: it is none.
    """
    return _checked(body, _entry)


def read_sign(body: Any) -> Sign:
    """The body of a signature, without the PIN.

    Raises:
        Refusal: it is none.
    """
    return _checked(body, _sign)


def _checked(body: Any, read: Callable[[StrictFields], T]) -> T:
    try:
        fields = StrictFields(body)
        found = read(fields)
        fields.close()
    except ValueError as error:
        raise Refusal(RefusalCode.BAD_REQUEST, f"the request cannot be used: {error}") from error
    return found


def _entry(fields: StrictFields) -> Decide | Other:
    request = _request(fields)
    action = fields.word("action", ("decide", "undo", "note", "finish"))
    if action == "undo":
        return Other(request, Action.UNDO, undoes=fields.whole("undoes", 1))
    if action == "note":
        return Other(request, Action.NOTE, text=_text(fields, "text"))
    if action == "finish":
        return Other(request, Action.FINISH)
    pairs = fields.each("cells", _cell)
    cells = dict(pairs)
    if not 0 < len(pairs) <= _MOST_CELLS:
        raise ValueError(f"cells has {len(pairs)} cells, give 1 to {_MOST_CELLS}")
    if len(cells) < len(pairs):
        raise ValueError("cells names a cell twice")
    return Decide(request, cells, fields.or_null("label", _label(fields)))


def _cell(fields: StrictFields) -> tuple[str, str | None]:
    pair = fields.text("id"), fields.or_null("before", _label(fields))
    fields.close()
    return pair


def _sign(fields: StrictFields) -> Sign:
    return Sign(
        _request(fields),
        fields.whole("entry"),
        fields.whole("revision"),
        fields.text("shown"),
        fields.or_null("reason", lambda key: _text(fields, key)) or "",
    )


def _request(fields: StrictFields) -> str:
    text = fields.text("request")
    if not _REQUEST.fullmatch(text):
        raise ValueError("request is not 32 hexadecimal digits")
    return text


def _label(fields: StrictFields) -> Callable[[str], str]:
    def read(key: str) -> str:
        word: str = fields.word(key, LABELS)
        return word

    return read


def _text(fields: StrictFields, key: str) -> str:
    text = fields.text(key).strip()
    if not text or len(text) > LONGEST_TEXT:
        raise ValueError(f"{key} has {len(text)} characters, give 1 to {LONGEST_TEXT}")
    if any(not (one.isprintable() or one == "\n") for one in text):
        raise ValueError(f"{key} has a control character")
    return text
