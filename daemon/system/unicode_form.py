"""Names that are the same text and other bytes: `ü` is one code point or two (Unicode, UAX 15).

A Mac and some shares write names in the decomposed form (NFD), a PC and most editors in the
composed one (NFC). To the kernel these are two names. Whatever compares a name that a person
wrote with one on a disk does it here.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Final

from daemon.system.bounded_call import ANSWER_S, call_each

# What is said of a path that `forms_on_disk` has found.
OTHER_FORM: Final = (
    "is written in another Unicode form (NFC, NFD) on the disk than in the configuration; the one "
    "on the disk is taken"
)


def comparable(name: str | bytes) -> str:
    """The name as text in NFC, in which equal texts are equal; for comparing, never for opening."""
    text = name if isinstance(name, str) else os.fsdecode(name)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def forms_on_disk(paths: Collection[Path]) -> dict[Path, Path]:
    """Those of some absolute paths that the disk has in another form, and how it has them.

    A share that does not answer has none.
    """
    calls = {path: partial(as_on_disk, path) for path in paths if not str(path).isascii()}
    found = call_each(calls, ANSWER_S, "name-forms")
    return {path: there for path, there in found.items() if there != path}


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
