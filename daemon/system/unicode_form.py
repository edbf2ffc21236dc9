"""Finds names on a disk that are the same text in different bytes (`edge.text.unicode_form`).

A Mac and some shares write names in the decomposed form (NFD), a PC and most editors in the
composed one (NFC). To the kernel these are two names, so names in the configuration are looked
for on the disk by these functions.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Final

from daemon.system.bounded_call import ANSWER_S, call_each
from edge.text.unicode_form import comparable

# The message about a path that `forms_on_disk` has found.
OTHER_FORM: Final = (
    "has another Unicode form (NFC, NFD) on the disk than in the configuration; the one on the "
    "disk is used"
)


def forms_on_disk(paths: Collection[Path]) -> dict[Path, Path]:
    """Absolute paths that the disk has in another form, each with its form on the disk.

    Without paths on a share that does not answer.
    """
    calls = {path: partial(as_on_disk, path) for path in paths if not str(path).isascii()}
    found = call_each(calls, ANSWER_S, "name-forms")
    return {path: there for path, there in found.items() if there != path}


def as_on_disk(path: Path) -> Path:
    """An absolute path with each name in the form that the disk has.

    A name stays as written if it exists, if no other form of it does, or if several do. May hang
    on a share.
    """
    found = Path(path.anchor)
    for name in path.relative_to(path.anchor).parts:
        found /= _other_form(found, name) or name
    return found


def _other_form(folder: Path, name: str) -> str | None:
    """The only name in a folder that is the same text in another form; None: none or several."""
    if name.isascii() or os.path.lexists(folder / name):
        return None
    try:
        with os.scandir(folder) as entries:
            found = [e.name for e in entries if comparable(e.name) == comparable(name)]
    except OSError:
        return None
    return found[0] if len(found) == 1 else None
