"""Names that are the same text and other bytes: `ü` is one code point or two (Unicode, UAX 15).

A Mac and some shares write names in the decomposed form (NFD), a PC and most editors in the
composed one (NFC). To the kernel these are two names. Whatever compares a name that a person
wrote with one on a disk does it here.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path


def comparable(name: str | bytes) -> str:
    """The name as text in NFC, in which equal texts are equal; for comparing, never for opening."""
    text = name if isinstance(name, str) else os.fsdecode(name)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def as_on_disk(path: Path) -> Path:
    """An absolute path with each folder's name as the disk has it, where it is the same text.

    A name that is there as it was written is taken, and so is one without a twin, or with several.
    May wait for a share.
    """
    found = Path(path.anchor)
    for name in path.relative_to(path.anchor).parts:
        found /= _twin(found, name) or name
    return found


def _twin(folder: Path, name: str) -> str | None:
    """The one name in a folder that is the same text in another form."""
    if name.isascii() or os.path.lexists(folder / name):
        return None
    try:
        with os.scandir(folder) as entries:
            twins = [e.name for e in entries if comparable(e.name) == comparable(name)]
    except OSError:
        return None
    return twins[0] if len(twins) == 1 else None
