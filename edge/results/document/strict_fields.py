"""Reads the fields of a JSON object strictly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from edge.text.rfc3339 import moment_of

T = TypeVar("T")


class StrictFields:
    """One object. Its methods take a key out and raise ValueError, which says key and reason.

    After the last key, call `close`: a key that nobody read is an error.
    """

    __slots__ = ("_values", "_where")

    def __init__(self, value: Any, where: str = "") -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{where or 'it'} is no object")  # noqa: TRY004 - callers take one error
        self._values = dict(value)
        self._where = f"{where}." if where else ""

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self._take(key)
        if isinstance(value, str) and value:
            return value
        raise self._wrong(key, "is no text with characters")

    def any_text(self, key: str) -> str:
        """A text, which may be empty."""
        value = self._take(key)
        if isinstance(value, str):
            return value
        raise self._wrong(key, "is no text")

    def whole(self, key: str, low: int = 0, high: int | None = None) -> int:
        """A whole number from `low`."""
        value = self._take(key)
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if is_whole and value >= low and (high is None or value <= high):
            return int(value)
        limit = f"{low} or more" if high is None else f"{low} to {high}"
        raise self._wrong(key, f"is no whole number of {limit}")

    def number(self, key: str, low: float = 0, high: float = float("inf")) -> float:
        """A number from `low` to `high`."""
        value = self._take(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise self._wrong(key, f"is no number from {low:g} to {high:g}")

    def boolean(self, key: str) -> bool:
        """True or false."""
        value = self._take(key)
        if isinstance(value, bool):
            return value
        raise self._wrong(key, "is neither true nor false")

    def text_or_missing(self, key: str) -> str | None:
        """A text that may be left out."""
        return self.text(key) if key in self._values else None

    def true_or_missing(self, key: str) -> bool:
        """Whether the key is there, which is then true."""
        if key not in self._values:
            return False
        if self._take(key) is True:
            return True
        raise self._wrong(key, "is not true, and is left out otherwise")

    def moment(self, key: str) -> datetime:
        """A time in RFC 3339 with an offset."""
        text = self.text(key)
        try:
            return moment_of(text)
        except ValueError as error:
            raise self._wrong(key, f"is wrong: {error}") from error

    def word(self, key: str, known: type[T] | tuple[str, ...]) -> Any:
        """One of the known words: of a StrEnum, as its member."""
        text = self.text(key)
        words: dict[str, Any] = {str(word): word for word in known}  # type: ignore[union-attr]
        if text in words:
            return words[text]
        raise self._wrong(key, f"is not one of {', '.join(words)}")

    def sha256(self, key: str) -> str:
        """64 hexadecimal digits in lower case."""
        text = self.text(key)
        if len(text) == 64 and set(text) <= set("0123456789abcdef"):
            return text
        raise self._wrong(key, "is no SHA-256")

    def or_null(self, key: str, read: Callable[[str], T]) -> T | None:
        """What `read`, a method of this object, gives for the key; None if it is null."""
        if key in self._values and self._values[key] is None:
            self._take(key)
            return None
        return read(key)

    def mapping(self, key: str) -> dict[str, Any]:
        """An object whose keys are not checked."""
        value = self._take(key)
        if isinstance(value, dict):
            return value
        raise self._wrong(key, "is no object")

    def items(self, key: str) -> list[Any]:
        """A list whose items are not checked."""
        return self._list(key)

    def inner(self, key: str) -> StrictFields:
        """An object in this one."""
        return StrictFields(self._take(key), f"{self._where}{key}")

    def each(self, key: str, read: Callable[[StrictFields], T]) -> tuple[T, ...]:
        """What `read` gives for each object of a list."""
        values = self._list(key)
        where = f"{self._where}{key}"
        return tuple(read(StrictFields(v, f"{where}[{i}]")) for i, v in enumerate(values))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts that are not empty."""
        values = self._list(key)
        if all(isinstance(value, str) and value for value in values):
            return tuple(values)
        raise self._wrong(key, "has something else than texts")

    def close(self) -> None:
        """Refuse the keys that were not read."""
        if self._values:
            raise ValueError(f"{self._where}{next(iter(self._values))} is not a known key")

    def _list(self, key: str) -> list[Any]:
        values = self._take(key)
        if isinstance(values, list):
            return values
        raise self._wrong(key, "is no list")

    def _take(self, key: str) -> Any:
        try:
            return self._values.pop(key)
        except KeyError:
            raise ValueError(f"{self._where}{key} is missing") from None

    def _wrong(self, key: str, problem: str) -> ValueError:
        return ValueError(f"{self._where}{key} {problem}")
