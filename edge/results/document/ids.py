"""Which ids may leave, and which a LIS may take for one another. Ids are never altered."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Control characters, invisible ones, unassigned and private ones, line and paragraph breaks.
_UNFIT: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# Letters and marks that nothing is drawn for (Default_Ignorable_Code_Point of Unicode), and the
# blank pattern of Braille.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
# The daemon writes bytes of a path that are not UTF-8 in this form.
_ESCAPED_BYTE: Final = re.compile(r"\\x[0-9a-f]{2}")
# What spreadsheets make of a long number.
_SPREADSHEET_NUMBER: Final = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE | re.ASCII)


def unfit_id(text: str) -> str | None:
    """Why an id must not leave, as the end of a sentence that begins with "its id"; None if it may.

    An importer would cut spaces and drop characters, and so file the result under another id.
    """
    if not text.strip():
        return "is empty"
    if text != text.strip():
        return "begins or ends with a space"
    if not _UNFIT.isdisjoint(map(unicodedata.category, text)) or _INVISIBLE.search(text):
        return "has a control character or an invisible one"
    if _ESCAPED_BYTE.search(text):
        return "has bytes that are not UTF-8"
    if _SPREADSHEET_NUMBER.fullmatch(text):
        return "is a number that a spreadsheet has shortened; enter it as text"
    return None


def alike_form(text: str) -> str:
    """Equal for ids that a LIS or its database may take for one.

    They differ in their Unicode form, in case, or in spaces around them. Collations of databases
    ignore these in different combinations, so all of them together count (UAX 15, NFKC).
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())
