"""Refuses unknown keys in files that people write."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from edge.errors import ConfigError


def require_known_keys(what: str, keys: Iterable[object], known: Sequence[str]) -> None:
    """Refuse the first unknown key, and suggest the most similar known one.

    Args:
        what: name of the object with these keys, for the message.

    Raises:
        ConfigError: there is an unknown key.
    """
    for key in keys:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1)
            hint = f" Did you mean {nearest[0]}?" if nearest else f" Known: {', '.join(known)}."
            raise ConfigError(f"{what} has an unknown key {key!r}.{hint}")
