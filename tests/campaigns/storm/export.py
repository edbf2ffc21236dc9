"""An export folder that grows in every way an analyzer or a person lets it grow."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.images import COLOURS, colour_jpeg

# What an image may be rejected for while it is half written.
UNFINISHED = frozenset({"empty", "truncated", "corrupt", "unsupported_format"})
SIDES_PX = (32, 48, 64)
# Files that stay half written at once: some over several lives of the daemon.
MAX_UNFINISHED = 6


@dataclass(frozen=True, slots=True)
class Fate:
    """What must become of one version of an image."""

    status: str
    label: str | None
    reason: str | None
    size_bytes: int


class Export:
    """Writes images and remembers what must become of each. One thread grows, others look."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        # By name, then by sha256; the last is the image's present content.
        self.fates: dict[str, dict[str, Fate]] = {}
        # Folders that were written to, the newest last.
        self.touched: list[str] = []
        self.versions = 0
        self._time_changes = 0
        self._chance = chance
        self._jpegs = {
            (colour, side_px): colour_jpeg(colour, side_px=side_px)
            for colour in COLOURS
            for side_px in (*SIDES_PX, 16)
        }
        self._unfinished: list[tuple[Path, bytes]] = []
        self._old: list[str] = []
        self._new: list[str] = []
        self._subfolder = ""

    def open_folder(self, number: int) -> None:
        """Go on in a new folder; images of the earlier ones may be replaced from now on."""
        self._old += self._new
        self._new = []
        self._subfolder = f"S{number:05}"
        (self.folder / self._subfolder).mkdir()

    def grow(self) -> None:
        """One more image, and now and then the end of a slow one or another of an old name."""
        write: Callable[[Path, bytes], None] = self._chance.choice(
            [self._write_whole, self._write_whole, self._rename_in, self._begin_slowly]
        )
        name = f"{self._subfolder}/IMG{len(self.fates):06}.jpg"
        self._new.append(name)
        self._put(name, write)
        if self._unfinished and self._chance.random() < 0.4:
            self._finish_one()
        if self._old and self._chance.random() < 0.1:
            replace = self._chance.choice([self._write_whole, self._rename_in])
            self._put(self._chance.choice(self._old), replace)
        if self._old and self._chance.random() < 0.1:
            self._change_times(self.folder / self._chance.choice(self._old))

    def finish(self) -> None:
        """Write the rest of all images that are half written."""
        while self._unfinished:
            self._finish_one()

    def changed(self) -> list[str]:
        """Images whose bytes are not those that were written last."""
        return [
            name
            for name, fates in self.fates.items()
            if _sha256((self.folder / name).read_bytes()) != next(reversed(fates))
        ]

    def _put(self, name: str, write: Callable[[Path, bytes], None]) -> None:
        content, status, label, reason = self._content(self.versions)
        # Before the first byte is there: whoever looks must know it.
        fate = Fate(status, label, reason, len(content))
        self.fates.setdefault(name, {})[_sha256(content)] = fate
        self.touched.append(name.partition("/")[0])
        self.versions += 1
        path = self.folder / name
        self._unfinished = [entry for entry in self._unfinished if entry[0] != path]
        write(path, content)

    def _content(self, number: int) -> tuple[bytes, str, str | None, str | None]:
        """Bytes that no other version has, and their outcome."""
        draw, colour = self._chance.random(), self._chance.choice(list(COLOURS))
        if draw < 0.01:
            return b"not an image %d" % number, "rejected", None, "unsupported_format"
        side_px = 16 if draw < 0.04 else self._chance.choice(SIDES_PX)
        jpeg = self._jpegs[colour, side_px]
        # A comment segment after the start marker.
        text = b"version %d" % number
        comment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
        content = jpeg[:2] + comment + jpeg[2:]
        if side_px == 16:
            return content, "rejected", None, "too_small"
        return content, "labelled", colour, None

    @staticmethod
    def _write_whole(path: Path, content: bytes) -> None:
        path.write_bytes(content)

    @staticmethod
    def _rename_in(path: Path, content: bytes) -> None:
        hidden = path.with_name(f".{path.name}.part")
        hidden.write_bytes(content)
        hidden.replace(path)

    def _change_times(self, path: Path) -> None:
        """Nothing else of the file: as a file server or a person does with a whole export."""
        if self._chance.random() < 0.5:
            path.chmod(self._chance.choice((0o600, 0o640, 0o644)))
        else:
            # Never back to a time that it had: size and mtime tell the check its versions apart.
            self._time_changes += 1
            shift_s = self._chance.choice((-3600, 3600)) + self._time_changes / 1000
            mtime_ns = path.stat().st_mtime_ns + round(shift_s * 1e9)
            os.utime(path, ns=(mtime_ns, mtime_ns))

    def _begin_slowly(self, path: Path, content: bytes) -> None:
        if len(self._unfinished) >= MAX_UNFINISHED:
            self._finish_one()
        cut = self._chance.randrange(len(content))
        path.write_bytes(content[:cut])
        self._unfinished.append((path, content[cut:]))

    def _finish_one(self) -> None:
        path, rest = self._unfinished.pop(self._chance.randrange(len(self._unfinished)))
        with path.open("ab") as file:
            file.write(rest)
            file.flush()
            os.fsync(file.fileno())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
