"""The one place where files are written: a reader sees the old file, the new one, never a part.

A temporary file in the same folder, fsync, rename, fsync of the folder: after a power cut the
visible file is whole (POSIX rename is atomic; the folder's fsync makes the rename durable).
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edge.errors import StorageError

# Short whatever the target's name, so that a target of 255 bytes still has a temporary file.
TEMPORARY_PREFIX: Final = ".edge-"
TEMPORARY_SUFFIX: Final = ".tmp"


def write_file(path: Path, content: bytes) -> None:
    """Write one file durably.

    Raises:
        StorageError: nothing was written under `path`.
    """
    write_files([(path, content)])


def write_files(files: Iterable[tuple[Path, bytes]]) -> None:
    """Write several files durably; each folder is synchronised once.

    Raises:
        StorageError: files before the failing one may be there, each of them whole.
    """
    folders: dict[Path, None] = {}
    for path, content in files:
        try:
            _replace(path, content)
        except OSError as error:
            raise _storage_error("write", path, error) from error
        folders[path.parent] = None
    for folder in folders:
        try:
            sync_folder(folder)
        except OSError as error:
            raise _storage_error("synchronise", folder, error) from error


def make_folder(folder: Path) -> None:
    """Create a folder and its parents durably.

    Raises:
        StorageError: the folder is not there.
    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    try:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            sync_folder(path.parent)
    except OSError as error:
        raise _storage_error("create", missing[0], error) from error


@contextmanager
def new_directory(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A staging folder that becomes `target` when the block ends without an exception.

    Args:
        overwrite: replace an existing `target`; it stays until the new one is complete.

    Raises:
        StorageError: `target` exists or the disk refuses; no part of it is left behind.
    """
    if target.exists() and not overwrite:
        raise StorageError(f"{target} exists already; choose another place or allow overwriting.")
    make_folder(target.parent)
    staging = target.parent / _temporary_name()
    try:
        staging.mkdir()
        yield staging
        _sync_tree(staging)
        _swap(staging, target)
        sync_folder(target.parent)
    except OSError as error:
        raise _storage_error("write", target, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Synchronise a folder, so that the names in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, *, older_than_s: float) -> int:
    """Delete temporary files that a killed process left in `folder`; returns how many."""
    removed = 0
    newest = time.time() - older_than_s
    for path in folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):
            if path.is_file() and path.stat().st_mtime < newest:
                path.unlink()
                removed += 1
    return removed


def _replace(path: Path, content: bytes) -> None:
    temporary = path.parent / _temporary_name()
    # 0666 less the umask: a LIS under another user must be able to read the result.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _swap(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
        return
    replaced = target.parent / _temporary_name()
    target.rename(replaced)
    try:
        staging.rename(target)
    except OSError:
        replaced.rename(target)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def _sync_tree(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            with (Path(folder) / name).open("rb") as stream:
                os.fsync(stream.fileno())
        sync_folder(Path(folder))


def _temporary_name() -> str:
    return f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"


def _storage_error(step: str, path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"could not {step} {path}: {error.strerror or error}. Check space, permissions and disk."
    )
