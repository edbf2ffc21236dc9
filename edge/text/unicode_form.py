"""Compares names that are the same text in different bytes: `ü` has two Unicode forms (UAX 15)."""

from __future__ import annotations

import os
import unicodedata


def comparable(name: str | bytes) -> str:
    """The name as text in NFC, for comparing; never for opening."""
    text = name if isinstance(name, str) else os.fsdecode(name)
    return text if text.isascii() else unicodedata.normalize("NFC", text)
