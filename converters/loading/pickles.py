"""What a pickle would run when loaded, read from its opcodes without loading it.

This names things for a person. What is refused is decided by torch's restricted unpickler.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

_MAX_NAMES: Final = 5
# How torch saves tensors; loading them runs nothing of the author's.
_TENSOR_NAMES: Final = ("torch._utils._rebuild_", "collections.OrderedDict", "torch.storage.")


def names_run_by(path: Path) -> list[str]:
    """Module and name of the first few things that a torch file or plain pickle names."""
    names: dict[str, None] = {}
    for stream in _pickles(path):
        for name in _globals(stream):
            if not name.startswith(_TENSOR_NAMES) and not name.endswith("Storage"):
                names[name] = None
            if len(names) == _MAX_NAMES:
                return list(names)
    return list(names)


def _pickles(path: Path) -> Iterator[BinaryIO]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".pkl"):
                yield io.BytesIO(archive.read(entry))


def _globals(stream: BinaryIO) -> Iterator[str]:
    """Globals of all pickles that follow each other in a stream, up to what is no pickle."""
    try:
        while True:
            yield from _globals_of_one(stream)
    except ValueError:
        return


def _globals_of_one(stream: BinaryIO) -> Iterator[str]:
    strings = _Strings()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(strings.last_two)
        strings.follow(opcode.name, argument)


class _Strings:
    """The last two strings on a pickle's stack, which are what STACK_GLOBAL takes."""

    def __init__(self) -> None:
        self.last_two = ("", "")
        self._top: str | None = None
        self._memo: dict[int, str | None] = {}

    def follow(self, opcode: str, argument: Any) -> None:
        """Take one opcode into account."""
        if opcode == "MEMOIZE":
            self._memo[len(self._memo)] = self._top
        elif "PUT" in opcode:
            self._memo[int(argument)] = self._top
        else:
            pushed = self._memo.get(int(argument)) if "GET" in opcode else argument
            self._top = pushed if isinstance(pushed, str) else None
            if self._top is not None:
                self.last_two = (self.last_two[1], self._top)
