"""Reads a YAML mapping strictly, and collects all problems."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, TypeVar

from edge.text.nearest import nearest

T = TypeVar("T")

# Limits of what messages show: characters of a value, unknown keys. And most blocks of a list.
_MOST_SHOWN: Final = 80
_MOST_UNKNOWN: Final = 20
_MOST_BLOCKS: Final = 100


class Block:
    """One mapping of the file. On a problem its methods note it and return the default."""

    def __init__(self, values: Any, name: str, problems: list[str]) -> None:
        self._name = name
        self.problems = problems
        self._asked: list[str] = []
        self._values: dict[Any, Any] = {}
        if isinstance(values, dict):
            self._values = values
        elif values is not None:
            self._note("", f"is {_shown(values)}; give a block of keys")
            # Its keys are missing too, which need not be noted.
            self.problems = []

    def text(self, key: str, default: str | None = None, *, required: bool = False) -> str | None:
        """A non-empty text."""
        value = self._get(key)
        if value is None and required:
            self._note(key, "is missing")
        return default if value is None else self._typed(key, value, str, "a text") or default

    def path(self, key: str, base: Path) -> Path:
        """A required path, made absolute; if it is missing, a unique placeholder."""
        text = self.text(key, required=True)
        return Path(os.path.normpath(base / (text or f"<{self._dotted(key)}>")))

    def choice(self, key: str, default: str | None, allowed: tuple[str, ...]) -> str | None:
        """One of the allowed words."""
        value = self._get(key)
        if value is None or value in allowed:
            return default if value is None else str(value)
        near = nearest(value, allowed) if isinstance(value, str) else None
        hint = f"did you mean {near!r}" if near else f"give one of {', '.join(allowed)}"
        self._note(key, f"is {_shown(value)}; {hint}")
        return default

    def number(self, key: str, default: float, *, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        value = self._get(key)
        if _is_number(value, float) and low <= value <= high:
            return float(value)
        if value is not None:
            self._note(key, f"is {_shown(value)}; give a number from {low:g} to {high:g}")
        return default

    def number_or_null(self, key: str, default: float, *, low: float, high: float) -> float | None:
        """As `number`; None if the file has null."""
        if key in self._values and self._values[key] is None:
            return self._get(key)  # type: ignore[no-any-return]
        return self.number(key, default, low=low, high=high)

    def whole(self, key: str, default: int, *, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self._get(key)
        if _is_number(value, int) and low <= value <= high:
            return int(value)
        if value is not None:
            self._note(key, f"is {_shown(value)}; give a whole number from {low} to {high}")
        return default

    def boolean(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._get(key)
        if isinstance(value, bool):
            return value
        if value is not None:
            self._note(key, f"is {_shown(value)}; give true or false")
        return default

    def texts(
        self, key: str, default: tuple[str, ...], *, required: bool = True
    ) -> tuple[str, ...]:
        """A list of texts, or a single one; not empty if one is required."""
        value = self._get(key)
        values = [value] if isinstance(value, str) else value
        if value is None or (value == [] and not required):
            return default
        if isinstance(values, list) and values and all(isinstance(v, str) and v for v in values):
            return tuple(values)
        self._note(key, f"is {_shown(value)}; give a list of texts")
        return default

    def block(self, key: str) -> Block:
        """A nested block; an empty one if the key is missing."""
        return Block(self._get(key), self._dotted(key), self.problems)

    def blocks(self, key: str, *, required: bool = True) -> list[Block]:
        """A list of nested blocks, at least one if it is required."""
        values = self._get(key)
        if values in (None, []) and not required:
            return []
        if isinstance(values, list) and len(values) > _MOST_BLOCKS:
            self._note(key, f"has {len(values)} blocks; give at most {_MOST_BLOCKS}")
            return []
        if isinstance(values, list) and values:
            named = [(f"{self._dotted(key)}[{i}]", value) for i, value in enumerate(values)]
            return [Block(value, name, self.problems) for name, value in named]
        self._note(
            key, "is missing" if values is None else f"is {_shown(values)}; give a list of blocks"
        )
        return []

    def close(self) -> None:
        """Note every key that was not read, with the nearest known key."""
        unknown = [str(key) for key in self._values if key not in self._asked]
        for key in unknown[:_MOST_UNKNOWN]:
            near = nearest(key, self._asked)
            hint = f"did you mean {near!r}" if near else f"known: {', '.join(self._asked)}"
            self._note(key[:_MOST_SHOWN], f"is not a known key; {hint}")
        if more := unknown[_MOST_UNKNOWN:]:
            self._note("", f"has {len(more)} more unknown keys")

    def note(self, key: str, problem: str) -> None:
        """Add a problem with a key's value."""
        self._note(key, problem)

    def _get(self, key: str) -> Any:
        self._asked.append(key)
        return self._values.get(key)

    def _typed(self, key: str, value: Any, type_: type[T], what: str) -> T | None:
        if isinstance(value, type_) and value:
            return value
        self._note(key, f"is {_shown(value)}; give {what}")
        return None

    def _note(self, key: str, problem: str) -> None:
        name = self._dotted(key) if key else self._name
        self.problems.append(f"{name} {problem}.".lstrip())

    def _dotted(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key


def _is_number(value: Any, type_: type[float]) -> bool:
    # `true` is a bool, and a bool is an int in Python.
    return isinstance(value, (type_, int)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    """A value for a message: of a long one only its beginning."""
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
