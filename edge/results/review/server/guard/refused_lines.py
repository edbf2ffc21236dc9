"""Lines about refused requests: a few a minute, and never anything that the request said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edge.text.counted import counted

_MOST_A_MINUTE: Final = 10
_MINUTE_S: Final = 60.0


class RefusedLines:
    """Tells why requests were refused; those that were left out are counted in a later line."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._tell = tell
        self._clock = clock
        self._minute_began = clock()
        self._told = 0
        self._untold = 0

    def __call__(self, reason: str) -> None:
        """A request was refused for this reason, which names nothing of the request."""
        now = self._clock()
        if now - self._minute_began >= _MINUTE_S:
            if self._untold:
                self._tell(f"{counted(self._untold, 'more request')} refused")
            self._minute_began, self._told, self._untold = now, 0, 0
        if self._told == _MOST_A_MINUTE:
            self._untold += 1
            return
        self._told += 1
        self._tell(f"a request was refused: {reason}")
