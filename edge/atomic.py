"""The one place where files are written: a reader sees the old file, the new one, never a part.

A temporary file in the same folder, fsync, rename, fsync of the folder: after a power cut the
visible file is whole (POSIX rename is atomic; the folder's fsync makes the rename durable).
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from edge.errors import StorageError
from edge.failpoints import are_armed, failpoint

# Short whatever the target's name, so that a target of 255 bytes still has a temporary file.
TEMPORARY_PREFIX: Final = ".edge-"
TEMPORARY_SUFFIX: Final = ".tmp"


def write_file(path: Path, content: bytes) -> None:
    """Write one file durably. A device, a pipe or a folder of that name is never replaced.

    Raises:
        StorageError: nothing was written under `path`.
    """
    with _storage_errors("write", path), suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise StorageError(f"{path} is there and no file; name another place.")
    write_files([(path, content)])


def write_files(files: Iterable[tuple[Path, bytes]]) -> None:
    """Write several files durably, in the order given, and each folder once.

    All contents are on their way to the disk before the first is synchronised, so that the file
    system commits them together: about twice as many a second as one after the other.

    Raises:
        StorageError: files before the failing one may be there, each of them whole.
    """
    with ExitStack() as cleanup:
        staged = [(_stage(path, content, cleanup), path) for path, content in files]
        for temporary, path in staged:
            with _storage_errors("synchronise", path):
                failpoint("file.before_fsync")
                _sync_file(temporary)
            failpoint("file.after_fsync")
        for number, (temporary, path) in enumerate(staged):
            with _storage_errors("write", path):
                if number:
                    failpoint("file.between_renames")
                failpoint("file.before_rename")
                temporary.replace(path)
            failpoint("file.after_rename")
    for folder in dict.fromkeys(path.parent for _, path in staged):
        with _storage_errors("synchronise", folder):
            failpoint("file.before_folder_fsync")
            sync_folder(folder)
        failpoint("file.after_folder_fsync")


def make_folder(folder: Path) -> None:
    """Create a folder and its parents durably.

    Raises:
        StorageError: the folder is not there.
    """
    missing = []
    with _storage_errors("create", folder):
        # A folder above it that may not be searched refuses already this question.
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
    for path in reversed(missing):
        with _storage_errors("create", path):
            failpoint("folder.before_make")
            path.mkdir(exist_ok=True)
            failpoint("folder.made")
            sync_folder(path.parent)


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


def _stage(path: Path, content: bytes, cleanup: ExitStack) -> Path:
    """Write a temporary file beside `path`; `cleanup` removes it if it is still there."""
    temporary = path.parent / _temporary_name()
    cleanup.callback(_remove, temporary)
    # 0666 less the umask: a LIS under another user must be able to read the result.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with _storage_errors("write", path):
        failpoint("file.before_create")
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as stream:
            failpoint("file.created")
            if are_armed():
                _write_half(stream, content)
            else:
                stream.write(content)
            stream.flush()
            _begin_to_write(stream.fileno())
        failpoint("file.written")
    return temporary


def _write_half(stream: BinaryIO, content: bytes) -> None:
    """Write both halves, each of them at once on the disk's side of the buffer: for tests."""
    half = len(content) // 2
    stream.write(content[:half])
    stream.flush()
    failpoint("file.half_written")
    stream.write(content[half:])


def _begin_to_write(descriptor: int) -> None:
    # On the way to forgetting its pages the kernel gives them to the disk. A file that has its
    # place there is committed with the first that is synchronised; otherwise each takes a commit.
    with suppress(OSError):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


@contextmanager
def _storage_errors(step: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _storage_error(step, path, error) from error


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
            _sync_file(Path(folder) / name)
        sync_folder(Path(folder))


def _temporary_name() -> str:
    return f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"


def _storage_error(step: str, path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"could not {step} {path}: {error.strerror or error}. Check space, permissions and disk."
    )
