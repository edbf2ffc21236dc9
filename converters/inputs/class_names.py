"""Compares class names, which folders, cards and manifests may spell differently."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence
from typing import Final

# Unicode categories that are invisible or look like blanks or dashes.
_SEPARATORS: Final = frozenset({"Cf", "Cc", "Zs", "Zl", "Zp", "Pd", "Pc"})


def normal(name: str) -> str:
    """A name in Unicode's normal form NFC: macOS writes é as two characters, others as one."""
    return unicodedata.normalize("NFC", name)


def caseless(name: str) -> str:
    """A name in a form for comparison that ignores Unicode form and the case of letters."""
    return normal(normal(name).casefold())


def near_miss(name: str, classes: Sequence[str]) -> str:
    """A hint at the class that was probably meant, beginning with a blank; empty if none."""
    alike = [known for known in classes if _bare(known) == _bare(name)]
    if alike:
        return (
            f" Did you mean {alike[0]!r}? The names differ only in the case of letters, in blanks, "
            "accents or similar characters."
        )
    close = difflib.get_close_matches(caseless(name), [caseless(k) for k in classes], 1, 0.8)
    found = [known for known in classes if close and caseless(known) == close[0]]
    return f" Did you mean {found[0]!r}?" if found else ""


def _bare(name: str) -> str:
    """Only the letters and digits, without accents."""
    apart = unicodedata.normalize("NFKD", name).casefold()
    kinds = ((character, unicodedata.category(character)) for character in apart)
    return "".join(c for c, kind in kinds if kind not in _SEPARATORS and kind[0] != "M")
