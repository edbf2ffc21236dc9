"""Refuses unknown keys in files that people write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge.errors import ConfigError
from edge.text.nearest import nearest


def require_known_keys(what: str, keys: Iterable[object], known: Sequence[str]) -> None:
    """Refuse the first unknown key, and suggest the most similar known one.

    Args:
        what: name of the object with these keys, for the message.

    Raises:
        ConfigError: there is an unknown key.
    """
    for key in keys:
        if key not in known:
            near = nearest(str(key), known)
            hint = f" Did you mean {near}?" if near else f" Known: {', '.join(known)}."
            raise ConfigError(f"{what} has an unknown key {key!r}.{hint}")
