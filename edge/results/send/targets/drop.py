"""Puts a result as a file into the folder that an importer watches.

An importer may take every file that is not hidden, whether or not it is whole. So a file appears
under its name only when it is durable, and nothing else is ever put into that folder: no second
file, no lock, no temporary file with a visible name. A file that is there is never changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge.errors import StorageError
from edge.failpoints import failpoint
from edge.files.atomic import storage_errors, write_files
from edge.files.open_folder import OpenFolder, open_folder
from edge.files.safe_open import NotRegularError, TooLargeError, read_bounded
from edge.files.temporary import is_temporary, remove_if_stale
from edge.results.send.targets.attempt import Attempt, Fate

# Importers refuse larger files (OpenELIS' bridge sets them aside).
LARGEST_FILE_BYTES: Final = 20 << 20


class DropFolder:
    """A folder that an importer watches. It is never made: a share may not be mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def remove_leftovers(self) -> None:
        """Remove temporary files of processes that were killed."""
        try:
            names = [path.name for path in self._folder.iterdir() if is_temporary(path.name)]
        except OSError:
            return  # the first file to be put there will tell
        for name in names:
            remove_if_stale(self._folder, name)

    def put(self, name: str, content: bytes) -> Attempt:
        """Put a file there; one of the same name and bytes is done already."""
        if len(content) > LARGEST_FILE_BYTES:
            too_large = f"{name} has {len(content)} bytes, importers take {LARGEST_FILE_BYTES}"
            return Attempt(Fate.REFUSED, too_large)
        path = self._folder / name
        try:
            with storage_errors("open", self._folder), open_folder(self._folder) as folder:
                return self._put(folder, path, content)
        except StorageError as error:
            return Attempt(Fate.AWAY, str(error))

    def _put(self, folder: OpenFolder, path: Path, content: bytes) -> Attempt:
        folder.requires_hidden = True
        is_there = _is_there(folder, path.name, content)
        if is_there is None:
            failpoint("send.before_file")

            def require_free(path: Path) -> None:
                if _is_there(folder, path.name, content) is False:
                    raise _TakenError(path.name)

            try:
                write_files(
                    [(path, content)],
                    held={self._folder: folder},
                    before_rename=require_free,
                    chown_to_folder=True,
                )
            except _TakenError:
                is_there = False
            else:
                failpoint("send.file_put")
                return Attempt(Fate.DONE, f"wrote {path}")
        if not is_there:
            other = f"{path} is there with other content, and is never replaced"
            return Attempt(Fate.REFUSED, other)
        # It may have been renamed by a process that was killed before the name was durable.
        folder.sync()
        return Attempt(Fate.DONE, f"{path} was there already, with the same bytes")


class _TakenError(Exception):
    """Another file has appeared under the name."""


def _is_there(folder: OpenFolder, name: str, content: bytes) -> bool | None:
    """Whether the file holds these bytes; None if there is no file."""
    try:
        found = read_bounded(name, LARGEST_FILE_BYTES, dir_fd=folder.descriptor)
    except FileNotFoundError:
        return None
    except (NotRegularError, TooLargeError):
        return False
    return found == content
