"""A watch folder: which files in it are images, and where their sidecars go."""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from daemon.image.passed_over import Reason
from daemon.image.records import ImageVersion
from edge.files.temporary import is_temporary
from edge.image_folders.names import is_system_name
from edge.sidecar import FORMATS, Origin
from edge.system.mounts import MountMemory
from edge.text.path_template import PathTemplate
from edge.text.printable import printable_name, printable_path
from edge.text.unicode_form import comparable

# Never images, whatever the pattern, or sidecars would get sidecars without end.
_SIDECAR_SUFFIXES: Final = tuple(f".{format_}" for format_ in FORMATS)
_INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class WatchFolder:
    """One watch folder.

    Attributes:
        id: the journal's id.
        path: the folder.
        results: the folder of its sidecars; `path` if they go beside the images.
        names: matches the names of images.
        sample: takes sample and slide ids from an image's path.
        exclude: matches the names of files and folders that are left out.
        mount: knows whether the folder's share was unmounted.
    """

    id: int
    path: Path
    results: Path
    names: re.Pattern[str]
    sample: PathTemplate | None = None
    exclude: re.Pattern[str] | None = None
    mount: MountMemory = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mount", MountMemory(self.path))

    def image(self, path: bytes) -> Path:
        """The absolute path of an image, from its path below the watch folder."""
        return self.path / os.fsdecode(path)

    def target(self, path: bytes) -> Path:
        """The path that the sidecars' names begin with: the image, or its mirror in the results."""
        return self.results / os.fsdecode(path)

    def has_image(self, path: bytes) -> bool:
        """Whether a file at this path is to be labelled."""
        name = comparable(path.rpartition(b"/")[2])
        return self.has_folder(path) and self.is_image_name(name)

    def has_folder(self, path: bytes) -> bool:
        """Whether a folder at this path is to be scanned."""
        return not any(self.passes_over(comparable(name)) for name in path.split(b"/"))

    def passes_over(self, name: str) -> Reason | None:
        """Why a file or folder of this name is left out; None: it is not.

        `name` is as `comparable` gives it. Names that start with a dot are unfinished copies,
        AppleDouble files (`._IMG.jpg`) and `.snapshot` folders of file servers, which would show
        every image a second time.
        """
        if name.startswith("."):
            return Reason.HIDDEN
        if is_system_name(name):
            return Reason.SYSTEM
        return Reason.EXCLUDED if self.exclude and self.exclude.match(name) else None

    def is_image_name(self, name: str) -> bool:
        """Whether a file of this name, as `comparable` gives it, is to be labelled."""
        if self.names.match(name) is None or is_sidecar_name(name):
            return False
        return not is_temporary(name)

    def look(self, path: bytes) -> ImageVersion | None:
        """The file's current version; None if it cannot be seen now."""
        try:
            return self.version(path, self._status(path))
        except OSError:
            return None

    def is_gone(self, path: bytes) -> bool:
        """Whether nothing has this path; False if that cannot be known now."""
        try:
            self._status(path)
        except OSError as error:
            return isinstance(error, FileNotFoundError | NotADirectoryError)
        return False

    def version(self, path: bytes, status: os.stat_result) -> ImageVersion:
        """The version of a file that has this status."""
        mtime_ns, ctime_ns = status.st_mtime_ns, status.st_ctime_ns
        if not -_INT64_MAX <= mtime_ns <= _INT64_MAX or not -_INT64_MAX <= ctime_ns <= _INT64_MAX:
            mtime_ns, ctime_ns = _within_int64(mtime_ns), _within_int64(ctime_ns)
        return ImageVersion(self.id, path, status.st_size, mtime_ns, ctime_ns)

    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the watch folder; None if it is not there or was unmounted."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        if self.mount.is_unmounted(status):
            return None
        return status.st_dev, status.st_ino

    def origin(self, path: bytes) -> Origin:
        """The image's path and ids for its sidecars."""
        sample_id, slide_id = self.sample.ids(path) if self.sample else (None, None)
        folder = printable_path(path.rpartition(b"/")[0]) or "."
        return Origin(printable_name(self.image(path)), sample_id, slide_id, folder)

    def lacks_ids(self, path: bytes) -> bool:
        """Whether a template is configured and finds no ids in the image's path."""
        return self.sample is not None and self.sample.ids(path) == (None, None)

    def _status(self, path: bytes) -> os.stat_result:
        return os.lstat(os.fsencode(self.path) + b"/" + path)


def is_sidecar_name(name: str) -> bool:
    """Whether a file of this name is never an image, because sidecars have such names."""
    return name.lower().endswith(_SIDECAR_SUFFIXES)


def names_regex(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """A regex for names, as `comparable` gives them, that match a shell pattern in any case."""
    joined = "|".join(fnmatch.translate(comparable(pattern)) for pattern in patterns)
    return re.compile(joined, re.IGNORECASE)


def _within_int64(ns: int) -> int:
    # SQLite's integers hold the years 1677 to 2262 in ns. A file may have a later time, and one
    # without a time on a share has the year 1601.
    return max(-_INT64_MAX, min(ns, _INT64_MAX))
