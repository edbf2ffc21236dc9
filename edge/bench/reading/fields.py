"""Takes typed values out of parsed JSON and names the place of the first that is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_MOST_TEXT: Final = 2_000
_MOST_SHOWN: Final = 60
# Sums of a million durations must stay within 64 bits; a duration of this size is 104 days.
_LARGEST: Final = 9_000_000_000_000_000


class Fields:
    """A JSON object; each method raises ValueError with the place, what it has and what it needs.

    Keys that are not asked for are ignored: later versions may add some.
    """

    def __init__(self, value: Any, place: str = "") -> None:
        self._place = place
        self._values: dict[str, Any] = value if isinstance(value, dict) else {}
        if self._values is not value:
            raise ValueError(f"{place or 'the document'} is {_shown(value)}; it needs an object")

    def names(self) -> Iterator[str]:
        """The names of all values."""
        yield from self._values

    def place(self, key: str) -> str:
        """Where a value stands, such as `series[3].count`."""
        return f"{self._place}.{key}" if self._place else key

    def has(self, key: str) -> bool:
        """Whether there is a value other than null."""
        return self._values.get(key) is not None

    def text(self, key: str) -> str:
        """A text of one line or more, not too long for a page."""
        value = self._get(key)
        if not isinstance(value, str) or not value or len(value) > _MOST_TEXT:
            raise self._wrong(key, value, f"a text of 1 to {_MOST_TEXT:,} characters")
        return value

    def text_or_null(self, key: str) -> str | None:
        """A text, or None."""
        return self.text(key) if self.has(key) else None

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, maybe empty."""
        values = self._list(key)
        if not all(isinstance(value, str) and len(value) <= _MOST_TEXT for value in values):
            raise self._wrong(key, values, "a list of texts")
        return tuple(values)

    def choice(self, key: str, allowed: tuple[str, ...]) -> Any:
        """One of the allowed words."""
        value = self._get(key)
        if value not in allowed:
            raise self._wrong(key, value, f"one of {', '.join(allowed)}")
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        value = self._get(key)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not _fits(value):
            raise self._wrong(key, value, "a number")
        return float(value)

    def number_or_null(self, key: str) -> float | None:
        """A finite number, or None."""
        return self.number(key) if self.has(key) else None

    def whole(self, key: str, *, low: int = 0) -> int:
        """A whole number, at least `low`."""
        value = self._get(key)
        if not _is_whole(value) or not low <= value <= _LARGEST:
            raise self._wrong(key, value, f"a whole number from {low}")
        return int(value)

    def boolean(self, key: str) -> bool:
        """True or false."""
        value = self._get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def wholes(self, key: str, count: int) -> NDArray[np.int64]:
        """As many whole numbers as there are samples."""
        values = self._list(key)
        if len(values) != count:
            raise ValueError(
                f"{self.place(key)} has {len(values):,} values; its count says {count:,}"
            )
        for number, value in enumerate(values):
            if not _is_whole(value) or abs(value) > _LARGEST:
                raise self._wrong(f"{key}[{number}]", value, "a whole number of nanoseconds")
        return np.asarray(values, np.int64)

    def block(self, key: str) -> Fields:
        """An object within."""
        return Fields(self._get(key), self.place(key))

    def blocks(self, key: str) -> list[Fields]:
        """A list of objects."""
        values = self._list(key)
        return [Fields(value, f"{self.place(key)}[{i}]") for i, value in enumerate(values)]

    def _list(self, key: str) -> list[Any]:
        value = self._get(key)
        if not isinstance(value, list):
            raise self._wrong(key, value, "a list")
        return value

    def _get(self, key: str) -> Any:
        if key not in self._values:
            raise ValueError(f"{self.place(key)} is missing")
        return self._values[key]

    def _wrong(self, key: str, value: Any, needed: str) -> ValueError:
        return ValueError(f"{self.place(key)} is {_shown(value)}; it needs {needed}")


def _is_whole(value: Any) -> bool:
    # `true` is a bool, and a bool is an int in Python.
    return isinstance(value, int) and not isinstance(value, bool)


def _fits(value: float) -> bool:
    return abs(value) <= _LARGEST if isinstance(value, int) else math.isfinite(value)


def _shown(value: Any) -> str:
    """What kind of value it is, and a short one itself; a long list is not made text for this."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    if _is_whole(value) and abs(value) > _LARGEST:
        return "too large a number"
    text = repr(value[:_MOST_SHOWN]) if isinstance(value, str) else repr(value)
    return text[:_MOST_SHOWN]
