"""The names that appear in a folder, told by the kernel at once. See inotify(7)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.system.kernel import called

_IN_MOVED_TO: Final = 0x80
_IN_CREATE: Final = 0x100
_IN_Q_OVERFLOW: Final = 0x4000
_IN_CLOEXEC: Final = 0o2000000
# struct inotify_event: watch, mask, cookie, length of the name, which ends with zero bytes.
_EVENT: Final = struct.Struct("iIII")
_READ_BYTES: Final = 65536


class FolderEvents:
    """A watch of one folder; `read` blocks. Close it once."""

    def __init__(self, folder: Path) -> None:
        """Watch the folder from now on.

        Raises:
            OSError: the kernel refuses the watch.
        """
        self._folder = folder
        self.fileno = called("inotify_init1", _IN_CLOEXEC)
        try:
            mask = ctypes.c_uint32(_IN_MOVED_TO | _IN_CREATE)
            called("inotify_add_watch", self.fileno, os.fsencode(folder), mask)
        except OSError:
            self.close()
            raise

    def read(self) -> list[str]:
        """The names of files that were created or renamed into the folder; waits for the first."""
        content = os.read(self.fileno, _READ_BYTES)
        names: list[str] = []
        for mask, name in _events(content):
            if mask & _IN_Q_OVERFLOW:
                # The kernel dropped events: everything that is there may be new.
                return [path.name for path in self._folder.iterdir()]
            names.append(os.fsdecode(name))
        return names

    def close(self) -> None:
        """End the watch."""
        os.close(self.fileno)


def _events(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(content):
        _, mask, _, length = _EVENT.unpack_from(content, at)
        at += _EVENT.size
        yield mask, content[at : at + length].rstrip(b"\0")
        at += length
