"""Finds all images below a folder, follows links, and counts the files that it skips."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os.path import realpath
from pathlib import Path
from typing import Final

from edge.errors import ConfigError
from edge.image_folders.names import READ_SUFFIXES, UNREAD_SUFFIXES, is_system_name
from edge.text.counted import counted

_SHOWN_SUFFIXES: Final = 5


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image file: its path below the given folder, and its real path without links."""

    path: Path
    real: str


@dataclass(slots=True)
class LeftOut:
    """Counts of skipped entries: unread formats and other files by suffix; hidden files; links.

    `returning` counts links to a folder above them, `repeated` links to images already found,
    `copies` files with the bytes of another one.
    """

    unread: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    returning: int = 0
    repeated: int = 0
    copies: int = 0

    def add(self, other: LeftOut) -> None:
        """Add the counts of another folder."""
        self.unread += other.unread
        self.others += other.others
        self.hidden += other.hidden
        self.returning += other.returning
        self.repeated += other.repeated
        self.copies += other.copies

    def lines(self) -> tuple[str, ...]:
        """One line for each kind, such as `3 images of kinds that are not read (.bmp 3): ...`."""
        lines = []
        if self.unread:
            images = counted(self.unread.total(), "image")
            lines.append(
                f"{images} of kinds that are not read ({_by_suffix(self.unread)}); only JPEG and "
                "PNG are, convert them to PNG"
            )
        if self.others:
            files = counted(self.others.total(), "other file")
            lines.append(f"{files}, no images by their names ({_by_suffix(self.others)})")
        if self.hidden:
            files = counted(self.hidden, "hidden or system file")
            lines.append(f"{files} (a folder counts as one)")
        if self.returning:
            lines.append(f"{counted(self.returning, 'link')} to a folder that the link lies in")
        if self.repeated:
            links = counted(self.repeated, "link")
            lines.append(f"{links} to what is there already; an image counts once")
        if self.copies:
            files = counted(self.copies, "file")
            lines.append(f"{files} with the bytes of another one; an image counts once")
        return tuple(lines)


@dataclass(frozen=True, slots=True)
class FoundImages:
    """The images below a folder, in the order of their paths, and the skipped entries.

    An image with several links to it is listed once per top-level entry of the folder, such as the
    folder of a class.
    """

    images: tuple[FoundImage, ...]
    left_out: LeftOut

    @property
    def paths(self) -> list[Path]:
        """The images' paths."""
        return [image.path for image in self.images]


def find_images(folder: Path) -> FoundImages:
    """Every file with a JPEG or PNG suffix below a folder; links are followed.

    Raises:
        ConfigError: not a folder, not readable, a broken link, or a pipe or device with an image's
            suffix.
    """
    with readable(folder):
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder; give one with images in it.")
    return _Walk(folder).run()


def require_target(path: Path) -> None:
    """Refuse a broken link, because its images would be missing without a message.

    Raises:
        ConfigError: naming the link and its target.
    """
    if path.is_symlink() and not path.exists():
        raise ConfigError(
            f"{path} is a broken link: its target {path.readlink()} does not exist. Copy the "
            "target here, or remove the link."
        )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn an error of the storage into a ConfigError that names `path`."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}). Give your account permission to read it, "
            "or copy it again."
        ) from error


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to read; `entry` is the top-level entry that it is below, empty for the root."""

    path: Path
    real: str
    entry: str


class _Walk:
    """Reads real folders first, then the targets of links.

    So a folder that also has a link to it is listed under its own path, and cycles end.
    """

    def __init__(self, root: Path) -> None:
        self._folders = deque([_Folder(root, realpath(root), "")])
        self._linked: deque[_Folder] = deque()
        self._images: dict[tuple[str, str], FoundImage] = {}
        self._linked_images: list[tuple[str, FoundImage]] = []
        self._seen: set[tuple[str, str]] = set()
        self._left_out = LeftOut()

    def run(self) -> FoundImages:
        while self._folders or self._linked:
            folder = (self._folders or self._linked).popleft()
            if (folder.entry, folder.real) in self._seen:
                self._left_out.repeated += 1
                continue
            self._seen.add((folder.entry, folder.real))
            with readable(folder.path):
                for path in sorted(folder.path.iterdir()):
                    self._take(path, folder)
        for entry, image in self._linked_images:
            self._add(entry, image)
        images = sorted(self._images.values(), key=lambda image: image.path)
        return FoundImages(tuple(images), self._left_out)

    def _take(self, path: Path, folder: _Folder) -> None:
        if path.name.startswith(".") or is_system_name(path.name):
            self._left_out.hidden += 1
            return
        require_target(path)
        real = realpath(path) if path.is_symlink() else f"{folder.real}/{path.name}"
        if path.is_dir():
            self._take_folder(_Folder(path, real, folder.entry or path.name), folder)
        else:
            self._take_file(FoundImage(path, real), folder.entry)

    def _take_folder(self, child: _Folder, parent: _Folder) -> None:
        if not child.path.is_symlink():
            self._folders.append(child)
        elif f"{parent.real}/".startswith(f"{child.real.rstrip('/')}/"):
            self._left_out.returning += 1
        else:
            self._linked.append(child)

    def _take_file(self, image: FoundImage, entry: str) -> None:
        suffix = image.path.suffix.lower()
        if suffix in UNREAD_SUFFIXES:
            self._left_out.unread[suffix] += 1
        elif suffix not in READ_SUFFIXES:
            self._left_out.others[suffix or "no suffix"] += 1
        elif not image.path.is_file():
            raise ConfigError(f"{image.path} is no regular file; replace or remove it.")
        elif image.path.is_symlink():
            self._linked_images.append((entry, image))
        else:
            self._add(entry, image)

    def _add(self, entry: str, image: FoundImage) -> None:
        if (entry, image.real) in self._images:
            self._left_out.repeated += 1
        else:
            self._images[entry, image.real] = image


def _by_suffix(counts: Counter[str]) -> str:
    shown = [f"{suffix} {n:,}" for suffix, n in counts.most_common(_SHOWN_SUFFIXES)]
    return ", ".join(shown if len(counts) <= _SHOWN_SUFFIXES else [*shown, "..."])
