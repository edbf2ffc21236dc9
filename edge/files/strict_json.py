"""Parses JSON strictly, so that code which uses the values later meets no surprise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NoReturn

# Ten times the largest JSON file that the product reads while it works.
_LARGEST_BYTES: Final = 16 << 20


def parse_json(content: bytes, *, has_unique_keys: bool = False) -> Any:
    """The value of a JSON document.

    Args:
        has_unique_keys: refuse an object that has a key twice, of which each reader takes another.

    Also refused: NaN and infinities, which JSON does not have; text that UTF-8 cannot encode, which
    no sidecar could hold; nesting that is too deep for Python.

    Raises:
        ValueError: it is not valid JSON; the text is short and says why.
    """
    try:
        value = json.loads(
            content,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique if has_unique_keys else None,
        )
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise ValueError("a text has half of a UTF-16 surrogate pair") from error
    return value


def read_json(
    path: Path, *, largest_bytes: int | None = None, has_unique_keys: bool = False
) -> Any:
    """The value of a JSON file; no more than 16 MiB of it are read if nothing else is given.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is larger, or `parse_json` refuses it.
    """
    largest_bytes = largest_bytes or _LARGEST_BYTES
    with path.open("rb") as stream:
        content = stream.read(largest_bytes + 1)
    if len(content) > largest_bytes:
        raise ValueError(f"it is larger than {largest_bytes >> 20} MiB")
    return parse_json(content, has_unique_keys=has_unique_keys)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("an object has a key twice")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
