"""Words in the files of systemd units, as systemd.syntax(7) quotes them."""

from __future__ import annotations

import json
import re


def quoted(text: str) -> str:
    """A word of a setting; % would begin a specifier."""
    text = text.replace("%", "%%")
    return text if re.fullmatch(r"[\w/.%-]+", text) else json.dumps(text, ensure_ascii=False)


def unquoted(word: str) -> str:
    """What `quoted` was given."""
    text = str(json.loads(word)) if word.startswith('"') else word
    return text.replace("%%", "%")
