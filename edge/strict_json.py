"""JSON from a file that others wrote: no surprise is left to what uses it later."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def parse_json(content: bytes) -> Any:
    """The value of a JSON document.

    Refused as well: NaN and infinities, which are no JSON; text that UTF-8 cannot hold, which
    no sidecar could carry; nesting that Python cannot follow.

    Raises:
        ValueError: it is none; the text is short and says why.
    """
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise ValueError("a text holds half of a UTF-16 pair") from error
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
