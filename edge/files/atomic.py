"""The one place where files are written: a reader sees the old file, the new one, never a part.

A temporary file in the same folder, fsync, rename, fsync of the folder: after a power cut the
visible file is whole (POSIX rename is atomic; the folder's fsync makes the rename durable).
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

# Files that are staged at once: each has an open descriptor, and a process may have 1,024.
_STAGED: Final = 64
# What a server answers to a name that it does not take.
REFUSALS_OF_A_NAME: Final = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.EINVAL})


def write_file(path: Path, content: bytes) -> None:
    """Write one file durably. A device, a pipe or a folder of that name is never replaced.

    Raises:
        StorageError: nothing was written under `path`.
    """
    with storage_errors("write", path), suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise StorageError(f"{path} is there and no file; name another place.")
    write_files([(path, content)])


def write_files(
    files: Iterable[tuple[Path, bytes]],
    *,
    held: Mapping[Path, OpenFolder] | None = None,
    before_rename: Callable[[Path], None] = lambda _path: None,
    gives: bool = False,
) -> None:
    """Write several files durably, in the order given, and each folder once.

    Contents are on their way to the disk before the first is synchronised, so that the file
    system commits them together: about twice as many a second as one after the other.

    Args:
        files: paths and contents.
        held: folders that the caller holds open, by their paths. The others are opened by name.
        before_rename: called for each file that is about to become visible; may raise.
        gives: what the superuser writes belongs to whoever the folder belongs to.

    Raises:
        StorageError: files before the failing one may be there, each of them whole.
    """
    with ExitStack() as opened:
        folders = dict(held or {})
        remaining, used = iter(files), dict[Path, OpenFolder]()
        while chunk := list(islice(remaining, _STAGED)):
            for path, _ in chunk:
                used[path.parent] = _folder_of(path, folders, opened)
            _replace([(used[p.parent], p, c) for p, c in chunk], before_rename, gives=gives)
        for folder in used.values():
            with storage_errors("synchronise", folder.path):
                failpoint("file.before_folder_fsync")
                folder.sync()
            failpoint("file.after_folder_fsync")


def make_folder(folder: Path) -> None:
    """Create a folder and its parents durably.

    Raises:
        StorageError: the folder is not there.
    """
    missing: list[str] = []
    with storage_errors("create", folder):
        above = folder
        # A folder above it that may not be searched refuses already this question.
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
        overwrite: replace an existing `target`; it stays until the new one is complete.

    Raises:
        StorageError: `target` exists or the disk refuses; no part of it is left behind.
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
    gives: bool,
) -> None:
    with ExitStack() as cleanup:
        staged = [_stage(folder, path, c, cleanup, gives=gives) for folder, path, c in files]
        for one in staged:
            with storage_errors("synchronise", one.path):
                failpoint("file.before_fsync")
                # Not opened by its name again, which others may have given to another file.
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
        # Where the temporary file is gone, its folder may be so too.
        os.stat(staged.name, dir_fd=folder, follow_symlinks=False)
        raise refused_name(staged.path.name) from error


def _stage(
    folder: OpenFolder, path: Path, content: bytes, cleanup: ExitStack, *, gives: bool
) -> _Staged:
    """Write a temporary file beside `path`; `cleanup` removes it if it is still there."""
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
        if gives:
            folder.give(stream.fileno())
        _begin_to_write(stream.fileno())
        failpoint("file.written")
    return _Staged(folder, path, name, stream)


def _create(folder: OpenFolder) -> tuple[str, BinaryIO]:
    """A new temporary file. Shares with `veto files = /.*/` refuse hidden names, and those only."""
    name = temporary_name()
    if not folder.takes_hidden:
        name = name.removeprefix(".")
    try:
        return name, _create_file(folder, name)
    except OSError as error:
        if error.errno in REFUSALS_OF_A_NAME and folder.takes_hidden:
            plain = name.removeprefix(".")
            with suppress(OSError):
                stream = _create_file(folder, plain)
                folder.takes_hidden = False
                return plain, stream
        raise


def _create_file(folder: OpenFolder, name: str) -> BinaryIO:
    # 0666 less the umask: a LIS under another user must be able to read the result.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, 0o666, dir_fd=folder.descriptor), "wb")


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
    """Turn an OSError of the block into a StorageError that names the step."""
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
