"""Writes files durably and atomically: a reader sees the old file or the new one, never a part.

The content goes to a temporary file in the same folder, then fsync, rename, and fsync of the
folder. After a power cut the visible file is complete: POSIX rename is atomic, and the folder's
fsync makes it durable.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final

from edge.errors import StorageError
from edge.failpoints import failpoint
from edge.files.open_folder import OpenFolder, open_folder
from edge.files.safe_open import open_regular
from edge.files.staged import Staged, create_staged
from edge.files.temporary import temporary_name

# Temporary files that are open at the same time; a process may have 1,024 descriptors.
_STAGED: Final = 64


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
        remaining, used = iter(files), dict[int, OpenFolder]()
        while chunk := list(islice(remaining, _STAGED)):
            ready = [(_folder_of(path, folders, opened), path, content) for path, content in chunk]
            used |= {folder.descriptor: folder for folder, _, _ in ready}
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
    folder = path.parent
    if folder not in folders:
        with storage_errors("write", path):
            folders[folder] = opened.enter_context(open_folder(folder))
    return folders[folder]


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
            _sync(one)
        for number, one in enumerate(staged):
            before_rename(one.path)
            with storage_errors("write", one.path):
                if number:
                    failpoint("file.between_renames")
                failpoint("file.before_rename")
                one.rename()
            failpoint("file.after_rename")


def _stage(
    folder: OpenFolder, path: Path, content: bytes, cleanup: ExitStack, *, chown_to_folder: bool
) -> Staged:
    """Write a temporary file beside `path`; `cleanup` removes it if it still exists then."""
    with storage_errors("write", path):
        failpoint("file.before_create")
        staged = create_staged(folder, path)
        cleanup.callback(staged.discard)
        failpoint("file.created")
        if chown_to_folder:
            folder.chown_like_folder(staged.descriptor)
        staged.write(content)
        failpoint("file.written")
    return staged


def _sync(staged: Staged) -> None:
    with storage_errors("synchronise", staged.path):
        failpoint("file.before_fsync")
        staged.sync()
    failpoint("file.after_fsync")


def _sync_file(path: Path) -> None:
    descriptor = open_regular(path)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def storage_errors(step: str, path: Path) -> AbstractContextManager[None]:
    """Turn an OSError in the block into a StorageError that names the step."""
    return _StorageErrors(step, path)


class _StorageErrors:
    """A class, because a generator takes three times as long, and each file has several blocks."""

    __slots__ = ("_path", "_step")

    def __init__(self, step: str, path: Path) -> None:
        self._step = step
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _t: object
    ) -> None:
        if isinstance(error, OSError):
            raise _storage_error(self._step, self._path, error) from error


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
