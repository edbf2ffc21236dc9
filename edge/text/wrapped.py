"""Text in lines of a terminal's width."""

from __future__ import annotations

import re
import textwrap
from typing import Final

from edge.text.printable import printable

WIDTH: Final = 80
# Between a number and its unit; a no-break space is no place to wrap.
_BEFORE_UNIT: Final = re.compile(r"(?<=\d) (?=(?:%|ms|s|MHz)(?!\w))")
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"


def wrapped(text: str) -> str:
    """Printable lines, the second and later ones indented; a number stays with its unit."""
    kept = _BEFORE_UNIT.sub(_NO_BREAK, printable(text))
    lines = textwrap.fill(kept, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return lines.replace(_NO_BREAK, " ")
