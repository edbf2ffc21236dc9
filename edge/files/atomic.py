"""Writes files durably and atomically: a reader sees the old file or the new one, never a part.

The content goes to a temporary file in the same folder, then fsync, rename, and fsync of the
folder. After a power cut the visible file is complete: POSIX rename is atomic, and the folder's
fsync makes it durable.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from edge.errors import StorageError
from edge.failpoints import are_armed, failpoint
from edge.files.open_folder import OpenFolder, open_folder, refused_name
from edge.files.safe_open import open_regular
from edge.files.temporary import temporary_name

# Temporary files that are open at the same time; a process may have 1,024 descriptors.
_STAGED: Final = 64
# The errors with which a file server may refuse a file's name.
NAME_REFUSED_ERRORS: Final = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.EINVAL})


def write_file(path: Path, content: bytes) -> None:
    """Write one file durably. A device, pipe or folder of that name is not replaced.

    Raises:
        StorageError: nothing was written under `path`.
    """
    with storage_errors("write", path), suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise StorageError(f"{path} exists and is not a regular file; give another path.")
    write_files([(path, content)])


def write_files(
    files: Iterable[tuple[Path, bytes]],
    *,
    held: Mapping[Path, OpenFolder] | None = None,
    before_rename: Callable[[Path], None] = lambda _path: None,
    chown_to_folder: bool = False,
) -> None:
    """Write several files durably, in the given order; each folder is synchronised once.

    Writing all contents out before the first fsync lets the file system commit them together,
    which is about twice as fast as one file after the other.

    Args:
        files: paths and contents.
        held: folders that the caller has open, by path. Others are opened by name.
        before_rename: called with each path just before the file becomes visible; may raise.
        chown_to_folder: if root writes, give each file to the owner of its folder.

    Raises:
        StorageError: files before the failing one may exist; each of them is complete.
    """
    with ExitStack() as opened:
        folders = dict(held or {})
        remaining, used = iter(files), dict[Path, OpenFolder]()
        while chunk := list(islice(remaining, _STAGED)):
            for path, _ in chunk:
                used[path.parent] = _folder_of(path, folders, opened)
            ready = [(used[path.parent], path, content) for path, content in chunk]
            _replace(ready, before_rename, chown_to_folder=chown_to_folder)
        for folder in used.values():
            with storage_errors("synchronise", folder.path):
                failpoint("file.before_folder_fsync")
                folder.sync()
            failpoint("file.after_folder_fsync")


def make_folder(folder: Path) -> None:
    """Create a folder and its parents durably.

    Raises:
        StorageError: the folder could not be created.
    """
    missing: list[str] = []
    with storage_errors("create", folder):
        above = folder
        # is_dir() itself raises if a parent may not be searched.
        while not above.is_dir():
            missing.insert(0, above.name)
            above = above.parent
        if missing:
            with open_folder(above) as found:
                found.below(missing, make=True).close()


@contextmanager
def new_directory(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A staging folder that becomes `target` when the block ends without an exception.

    Args:
        overwrite: replace an existing `target`, once the new one is complete.

    Raises:
        StorageError: `target` exists, or the disk refuses; the staging folder is removed.
    """
    if target.exists() and not overwrite:
        raise StorageError(f"{target} exists already; choose another place or allow overwriting.")
    make_folder(target.parent)
    staging = target.parent / temporary_name()
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
    with open_folder(folder) as opened:
        opened.sync()


def _folder_of(path: Path, folders: dict[Path, OpenFolder], opened: ExitStack) -> OpenFolder:
    if path.parent not in folders:
        with storage_errors("write", path):
            folders[path.parent] = opened.enter_context(open_folder(path.parent))
    return folders[path.parent]


@dataclass(frozen=True, slots=True)
class _Staged:
    """A file under its temporary name, open until it is durable."""

    folder: OpenFolder
    path: Path
    name: str
    stream: BinaryIO


def _replace(
    files: list[tuple[OpenFolder, Path, bytes]],
    before_rename: Callable[[Path], None],
    *,
    chown_to_folder: bool,
) -> None:
    with ExitStack() as cleanup:
        staged = [
            _stage(folder, path, content, cleanup, chown_to_folder=chown_to_folder)
            for folder, path, content in files
        ]
        for one in staged:
            with storage_errors("synchronise", one.path):
                failpoint("file.before_fsync")
                # By descriptor: its name may refer to another file by now.
                os.fsync(one.stream.fileno())
                one.stream.close()
            failpoint("file.after_fsync")
        for number, one in enumerate(staged):
            before_rename(one.path)
            with storage_errors("write", one.path):
                if number:
                    failpoint("file.between_renames")
                failpoint("file.before_rename")
                _rename(one)
            failpoint("file.after_rename")


def _rename(staged: _Staged) -> None:
    folder = staged.folder.descriptor
    try:
        os.rename(staged.name, staged.path.name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileNotFoundError as error:
        # If the temporary file is gone, this raises. Otherwise the target's name was refused.
        os.stat(staged.name, dir_fd=folder, follow_symlinks=False)
        raise refused_name(staged.path.name) from error


def _stage(
    folder: OpenFolder, path: Path, content: bytes, cleanup: ExitStack, *, chown_to_folder: bool
) -> _Staged:
    """Write a temporary file beside `path`; `cleanup` removes it if it still exists then."""
    with storage_errors("write", path):
        failpoint("file.before_create")
        name, stream = _create(folder)
        cleanup.callback(_discard, folder, name, stream)
        failpoint("file.created")
        if are_armed():
            _write_half(stream, content)
        else:
            stream.write(content)
        stream.flush()
        if chown_to_folder:
            folder.chown_like_folder(stream.fileno())
        _start_writeback(stream.fileno())
        failpoint("file.written")
    return _Staged(folder, path, name, stream)


def _create(folder: OpenFolder) -> tuple[str, BinaryIO]:
    """A new temporary file. Samba shares with `veto files = /.*/` refuse hidden names only."""
    name = temporary_name()
    if not folder.allows_hidden:
        name = name.removeprefix(".")
    try:
        return name, _create_file(folder, name)
    except OSError as error:
        may_be_seen = folder.allows_hidden and not folder.requires_hidden
        if error.errno in NAME_REFUSED_ERRORS and may_be_seen:
            plain = name.removeprefix(".")
            with suppress(OSError):
                stream = _create_file(folder, plain)
                folder.allows_hidden = False
                return plain, stream
        raise


def _create_file(folder: OpenFolder, name: str) -> BinaryIO:
    # 0666 less the umask: a LIS under another user must be able to read the result.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, 0o666, dir_fd=folder.descriptor), "wb")


def _write_half(stream: BinaryIO, content: bytes) -> None:
    """Write and flush the first half, then the second; for tests that stop in between."""
    half = len(content) // 2
    stream.write(content[:half])
    stream.flush()
    failpoint("file.half_written")
    stream.write(content[half:])


def _start_writeback(descriptor: int) -> None:
    # Before it drops a file's pages, the kernel starts writing them to the disk. All files whose
    # blocks are allocated then are committed by the first fsync; otherwise each needs a commit.
    with suppress(OSError):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync_file(path: Path) -> None:
    descriptor = open_regular(path)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(folder: OpenFolder, name: str, stream: BinaryIO) -> None:
    with suppress(OSError):
        stream.close()
    with suppress(OSError):
        os.unlink(name, dir_fd=folder.descriptor)


@contextmanager
def storage_errors(step: str, path: Path) -> Iterator[None]:
    """Turn an OSError in the block into a StorageError that names the step."""
    try:
        yield
    except OSError as error:
        raise _storage_error(step, path, error) from error


def _swap(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
        return
    replaced = target.parent / temporary_name()
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


def _storage_error(step: str, path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"could not {step} {path}: {error.strerror or error}. Check space, permissions and disk."
    )
