"""Makes values safe for a CSV file that a spreadsheet may open."""

from __future__ import annotations

import re
from typing import Any, Final

# Spreadsheets run a cell that begins with one of these as a formula; the last four are the
# full-width forms (OWASP, "CSV injection").
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)
# Control characters, and the other line breaks that str.splitlines knows.
_BREAKS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def safe_cell(value: Any) -> Any:
    r"""Text that no spreadsheet runs: `=cmd` becomes `'=cmd`, a line break `\x0a`, True `true`."""
    if not isinstance(value, str):
        # As in JSON.
        return str(value).lower() if isinstance(value, bool) else value
    line = str(one_line(value))
    starts_formula = line.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(line)
    return f"'{line}" if starts_formula else line


def one_line(value: Any) -> Any:
    r"""Text without line breaks and control characters, each escaped such as `\x0a`."""
    # Nearly every text is printable, which none of the escaped characters is.
    if not isinstance(value, str) or value.isprintable():
        return value
    return _BREAKS.sub(lambda m: _escaped(m[0]), value)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
