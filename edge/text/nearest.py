"""The known name that a mistyped one is most like."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

# Of the letters; less would suggest names that a person did not mean.
_LEAST_LIKENESS: Final = 0.6


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The most similar known name, whatever its case; None if none is similar."""
    folded = {one.casefold(): one for one in known}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=_LEAST_LIKENESS)
    return folded[found[0]] if found else None
