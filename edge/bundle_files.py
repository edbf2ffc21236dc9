"""Reads the files of a bundle: bounded, hashes checked, world-writable files refused.

A bundle holds engine plans, which are executable code. Its hashes find damage, but do not stop a
person who can write: that person can replace the hashes as well. So files and folders that every
user may write are refused. Group and owner are not checked: engineers copy bundles under their own
accounts, and a umask of 002 is common.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from edge.errors import BundleError
from edge.files.open_folder import open_folder
from edge.files.safe_open import open_regular

_PIECE_BYTES: Final = 1 << 20
# The kernel's own limit on links in a path.
_MOST_LINKS: Final = 40


def require_not_replaceable(root: Path) -> None:
    """Refuse a bundle in a folder where every user may replace it.

    Raises:
        BundleError: a folder above it is world-writable and has no sticky bit.
    """
    for folder in _folders_above(root):
        with _read_errors(folder):
            mode = folder.stat().st_mode
        # With the sticky bit, as on /tmp, only the owner of an entry may rename it.
        if not mode & stat.S_ISVTX:
            _require_private(mode, folder)


def _folders_above(root: Path) -> list[Path]:
    """All folders above the bundle and above each link to it: where it could be replaced."""
    folders: dict[Path, None] = {}
    place = root.absolute()
    with _read_errors(root):
        for _ in range(_MOST_LINKS):
            folders.update(dict.fromkeys(place.parent.resolve().parents))
            folders[place.parent.resolve()] = None
            if not place.is_symlink():
                break
            place = place.parent / place.readlink()
    return list(folders)


def read_bounded_file(root: Path, path: str, max_bytes: int) -> bytes:
    """The content of a file that the manifest does not list.

    Raises:
        BundleError: it cannot be read, is larger, or anybody may write it.
    """
    with _opened(root, path) as stream, _read_errors(root / path):
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise BundleError(
            f"{root / path} has more than {max_bytes} bytes, which no bundle needs. Copy the "
            "bundle again as a whole."
        )
    return content


def read_listed_file(root: Path, path: str, size_bytes: int, sha256: str) -> bytes:
    """The content of a file that the manifest lists.

    Raises:
        BundleError: it cannot be read, is not the one that is listed, or anybody may write it.
    """
    return b"".join(_checked_pieces(root, path, size_bytes, sha256))


def check_listed_file(root: Path, path: str, size_bytes: int, sha256: str) -> None:
    """Check a file that the manifest lists, without holding all of it in memory.

    Raises:
        BundleError: as `read_listed_file`.
    """
    for _ in _checked_pieces(root, path, size_bytes, sha256):
        pass


def _checked_pieces(root: Path, path: str, size_bytes: int, sha256: str) -> Iterator[bytes]:
    """The file in pieces; raises BundleError at the end if size or hash differ."""
    digest, read_bytes = hashlib.sha256(), 0
    with _opened(root, path) as stream, _read_errors(root / path):
        found = os.fstat(stream.fileno()).st_size
        # A file of another size is not read: it is wrong in any case, and may be huge.
        while found == size_bytes and (piece := stream.read(_PIECE_BYTES)):
            digest.update(piece)
            read_bytes += len(piece)
            if read_bytes > size_bytes:
                break
            yield piece
    if read_bytes != size_bytes or digest.hexdigest() != sha256:
        raise BundleError(
            f"{root / path} is not the file that was converted ({max(found, read_bytes)} bytes, "
            f"{size_bytes} expected, hash differs). Copy the bundle again as a whole."
        )


@contextmanager
def _opened(root: Path, path: str) -> Iterator[BinaryIO]:
    """Open a regular file of the bundle. Only the bundle's folder itself may be a link."""
    *folders, name = PurePosixPath(path).parts
    with ExitStack() as stack:
        with _read_errors(root / path):
            folder = stack.enter_context(open_folder(root))
            _require_private(os.fstat(folder.descriptor).st_mode, folder.path)
            for below in folders:
                folder = stack.enter_context(folder.below([below], make=False))
                _require_private(os.fstat(folder.descriptor).st_mode, folder.path)
            descriptor = open_regular(name, dir_fd=folder.descriptor)
            stream = stack.enter_context(os.fdopen(descriptor, "rb"))
            _require_private(os.fstat(stream.fileno()).st_mode, root / path)
        yield stream


def _require_private(mode: int, path: Path) -> None:
    if mode & stat.S_IWOTH:
        raise BundleError(
            f"{path} may be written by anybody (mode {stat.S_IMODE(mode):04o}); a bundle holds "
            f"executable code. Copy the bundle again as a whole, then: chmod -R o-w {path}"
        )


@contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> BundleError:
    """The error for a file or folder of a bundle that cannot be read."""
    remedy = "Copy the bundle again as a whole."
    if isinstance(error, PermissionError):
        remedy = "Let the user who runs this read all of the bundle: chmod -R a+rX"
    return BundleError(f"{path} cannot be read ({error.strerror}). {remedy}")
