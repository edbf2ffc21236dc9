"""Which files a scan has passed on already, so that the next look passes on what changed alone.

A look still asks the file system for each file's size and times, as folders on a share do not tell
that a file in them was overwritten. It saves what comes after: an object, and a question to the
journal, for each of thousands of files that are as they were.
"""

from __future__ import annotations

from typing import Final

from daemon.image.records import ImageVersion

# 64-bit hashes; a file's takes about 70 bytes. Files beyond are passed on at each look.
MOST: Final = 100_000


class SeenFiles:
    """The files of one watch folder as the last scan saw them.

    Attributes:
        before: hashes of marks, of the last scan.
        now: the same, of the scan that goes on.
        left_out: hashes of paths of files that are left out by their names.
    """

    def __init__(self) -> None:
        self.before: set[int] = set()
        self.now: set[int] = set()
        self.left_out: set[int] = set()

    def begin(self, *, is_whole: bool) -> None:
        """Begin a scan. A whole one passes everything on, and decides anew what is left out."""
        self.now = set()
        if is_whole:
            self.before.clear()
            self.left_out.clear()

    def end(self) -> None:
        """End a scan: a file that it did not see counts as new when it comes again."""
        self.before, self.now = self.now, set()

    def forget(self) -> None:
        """Have the next look pass everything on."""
        self.before.clear()
        self.now.clear()

    def note(self, version: ImageVersion) -> None:
        """Note a file that a whole scan passes on."""
        if len(self.now) < MOST:
            mark = version.path, version.size_bytes, version.mtime_ns, version.ctime_ns
            self.now.add(hash(mark))

    def leave_out(self, path: bytes) -> None:
        """Note that a file is left out by its name."""
        if len(self.left_out) < MOST:
            self.left_out.add(hash(path))
