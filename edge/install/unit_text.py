"""Quotes words in the files of systemd units (systemd.syntax(7))."""

from __future__ import annotations

import json
import re


def quoted(text: str) -> str:
    """A word of a setting, with % doubled, as it begins a specifier."""
    text = text.replace("%", "%%")
    return text if re.fullmatch(r"[\w/.%-]+", text) else json.dumps(text, ensure_ascii=False)


def unquoted(word: str) -> str:
    """The inverse of `quoted`."""
    text = str(json.loads(word)) if word.startswith('"') else word
    return text.replace("%%", "%")
