"""Whether the folders that are read are there, and not the bare mount points of their shares."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edge.errors import StorageError
from edge.files.atomic import write_file
from edge.files.strict_json import read_json
from edge.results.document.strict_fields import StrictFields
from edge.results.settings.slide_config import SlideConfig
from edge.system.mounts import file_system_of
from edge.text.printable import printable

# In the folder of the issued results, where a restart and a reload find it.
NAME: Final = "mounts.json"
_SCHEMA: Final = "edge-mounts/1"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A folder as it was seen.

    Attributes:
        mount: the mount point of its file system.
        type: of its file system.
        inode: of the folder when it last had entries; 0 if it never had any.
    """

    mount: str
    type: str
    inode: int

    @property
    def where(self) -> str:
        return f"{self.type} mounted at {self.mount}"

    def is_below(self, other: _Seen) -> bool:
        return self.mount != other.mount and Path(self.mount).is_relative_to(other.mount)


class MountedFolders:
    """The folders of sidecars and images, which may be on shares.

    While a share is away, manifests, markers and images that wait for their labels are not seen, so
    that a slide could be taken for complete, or for that of another sample.
    """

    def __init__(self, slides: SlideConfig, state: Path | None) -> None:
        """What was seen is looked up at each call: a person may remove the file meanwhile.

        Args:
            slides: names the folders.
            state: folder of the file in which is kept how they were seen; None: it is not kept.
        """
        self._paths = [path for path in (slides.sidecars, slides.images) if path is not None]
        self._file = None if state is None else state / NAME
        self._devices: dict[Path, int] = {}
        self._now: dict[str, _Seen] = {}

    def require(self) -> None:
        """Check that they are there; writes nothing.

        Raises:
            StorageError: one is not, or is no longer on the share on which it was seen.
        """
        known = self._read()
        for path in self._paths:
            self._now[_key(path)] = self._require(path, known.get(_key(path)))

    def remember(self) -> None:
        """Keep how `require` has found them.

        Raises:
            StorageError: the file cannot be read or written.
        """
        known = self._read()
        if self._file is not None and known | self._now != known:
            write_file(self._file, _content(known | self._now))

    def _require(self, path: Path, before: _Seen | None) -> _Seen:
        device, inode, is_empty = _look(path)
        now = _seen(path, inode)
        if before is not None and before.is_below(now):
            raise StorageError(
                f"{path} was on {before.where} and is now on {now.where}: its share is away. Mount "
                "it; no result is issued until then. If the folder is meant to be here from now "
                f"on, remove {self._file}."
            )
        if not is_empty:
            self._devices[path] = device
            return now
        if self._is_another(path, before, device, inode):
            raise StorageError(
                f"{path} is empty and not the folder that had files before: its share is away. "
                "Mount it; no result is issued until then, or until files are in it."
            )
        return replace(now, inode=before.inode if before is not None else 0)

    def _is_another(self, path: Path, before: _Seen | None, device: int, inode: int) -> bool:
        # A share may get another device number at each start of the machine, so none is kept.
        if self._devices.get(path, device) != device:
            return True
        return before is not None and before.inode not in (0, inode)

    def _read(self) -> dict[str, _Seen]:
        if self._file is None:
            return {}
        try:
            fields = StrictFields(read_json(self._file))
            fields.word("schema", (_SCHEMA,))
            found = dict(fields.each("folders", _folder))
            fields.close()
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise StorageError(
                f"{self._file} cannot be used ({reason}): it says on which shares the folders "
                "were. Check that they are mounted, then remove it; no result is issued until then."
            ) from error
        return found


def _key(path: Path) -> str:
    return printable(str(path.absolute()))


def _look(path: Path) -> tuple[int, int, bool]:
    """A folder's device and inode, and whether it is empty."""
    try:
        with os.scandir(path) as entries:
            is_empty = next(entries, None) is None
        # Only now: the look into it has mounted what is mounted on demand.
        found = path.stat()
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read ({error.strerror}). Mount or make it; no result is issued "
            "until then."
        ) from error
    return found.st_dev, found.st_ino, is_empty


def _seen(path: Path, inode: int) -> _Seen:
    found = file_system_of(path)
    return _Seen(printable(found.point), printable(found.type), inode)


def _content(known: dict[str, _Seen]) -> bytes:
    folders = [
        {"path": path, "mount": seen.mount, "type": seen.type, "inode": seen.inode}
        for path, seen in sorted(known.items())
    ]
    return f"{json.dumps({'schema': _SCHEMA, 'folders': folders}, indent=1)}\n".encode()


def _folder(fields: StrictFields) -> tuple[str, _Seen]:
    found = (
        fields.text("path"),
        _Seen(fields.any_text("mount"), fields.any_text("type"), fields.whole("inode")),
    )
    fields.close()
    return found
