"""Do two names mean the same class? Folders, cards and manifests spell them in their own ways."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence
from typing import Final

# What looks like nothing or like a blank: format characters and all kinds of blanks and dashes.
_SEPARATORS: Final = frozenset({"Cf", "Cc", "Zs", "Zl", "Zp", "Pd", "Pc"})


def normal(name: str) -> str:
    """A name in Unicode's normal form: macOS writes é as two characters, most others as one."""
    return unicodedata.normalize("NFC", name)


def caseless(name: str) -> str:
    """What names have in common that differ in their normal form and in the case of letters."""
    return normal(normal(name).casefold())


def near_miss(name: str, classes: Sequence[str]) -> str:
    """A sentence on the class that a person may have meant, with a blank before it, or nothing."""
    alike = [known for known in classes if _bare(known) == _bare(name)]
    if alike:
        return (
            f" Did you mean {alike[0]!r}? The names differ in the case of letters, in blanks, "
            "accents or characters that look alike."
        )
    close = difflib.get_close_matches(caseless(name), [caseless(k) for k in classes], 1, 0.8)
    found = [known for known in classes if close and caseless(known) == close[0]]
    return f" Did you mean {found[0]!r}?" if found else ""


def _bare(name: str) -> str:
    """The letters and digits alone, without accents."""
    apart = unicodedata.normalize("NFKD", name).casefold()
    kinds = ((character, unicodedata.category(character)) for character in apart)
    return "".join(c for c, kind in kinds if kind not in _SEPARATORS and kind[0] != "M")
