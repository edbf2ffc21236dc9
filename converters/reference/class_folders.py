"""Folders that hold one folder of images per class, as people copy them around.

A class is the folder's name, never a part of a file's name. What systems leave beside images is
passed over: hidden files (`._BNE_1.jpg`, `.DS_169665.jpg`), `Thumbs.db`, `__MACOSX`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from converters.image_set import IMAGE_SUFFIXES
from edge.errors import ConfigError

# An archive may wrap its folder into one of its own name, and that into one of the download's.
_MAX_WRAPPINGS: Final = 2
_LEFT_BY_SYSTEMS: Final = frozenset({"__macosx"})


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """One image with its class. `kind` and `capture` are empty where they are not known.

    `kind` is native or denoised224, `capture` the export that the image came from.
    """

    path: Path
    cell_class: str
    kind: str = ""
    capture: str = ""


@dataclass(frozen=True, slots=True)
class ClassFolders:
    """The folder of each class that is there, and other folders that hold images."""

    root: Path
    found: dict[str, Path]
    unknown: tuple[Path, ...]

    def files(self, kind: str = "") -> list[LabelledFile]:
        """The images of the classes, in the order of classes and names."""
        return [
            LabelledFile(path, cell_class, kind)
            for cell_class, folder in self.found.items()
            for path in images_in(folder)
        ]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Files with the same bytes in different classes; at most one of the labels is right."""

    files: tuple[LabelledFile, ...]

    def __str__(self) -> str:
        named = [f"{file.cell_class}/{file.path.name}" for file in self.files]
        return f"{' and '.join(named)} are the same picture in different classes; all left out"


def find_class_folders(folder: Path, classes: Iterable[str]) -> ClassFolders:
    """The folders named as classes, in any case of letters, in `folder` or what wraps them in it.

    Raises:
        ConfigError: no folder, not readable, none of the classes, or one class twice.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; give one that holds a folder per class.")
    classes = tuple(classes)
    roots = _roots(folder, {name.casefold() for name in classes})
    if len(roots) == 1:
        return _class_folders(roots[0], classes)
    if roots:
        raise ConfigError(
            f"{folder} holds class folders in {', '.join(root.name for root in roots)}; one set of "
            "images is needed. Give the folder of one of them."
        )
    held = ", ".join(path.name for path in _folders_in(folder)[:8]) or "no folders"
    raise ConfigError(
        f"{folder} holds no folder of a known class (found: {held}; known: {', '.join(classes)}). "
        "Give the folder that holds one folder per class."
    )


def images_in(folder: Path) -> list[Path]:
    """The image files of one folder by name; hidden ones and other kinds are passed over."""
    with readable(folder):
        return [
            path
            for path in _visible(folder)
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
        ]


def without_contradictions(
    files: list[LabelledFile], on_file: Callable[[int, int], None]
) -> tuple[list[LabelledFile], list[Contradiction]]:
    """The files but for those whose bytes stand in another class too, and these.

    Args:
        on_file: called with (done, total) while files are read.
    """
    same = [group for group in _same_bytes(files, on_file) if _is_contradictory(group)]
    left_out = {file.path for group in same for file in group}
    kept = [file for file in files if file.path not in left_out]
    return kept, [Contradiction(tuple(group)) for group in same]


def _is_contradictory(group: list[LabelledFile]) -> bool:
    return len({file.cell_class for file in group}) > 1


def _same_bytes(
    files: list[LabelledFile], on_file: Callable[[int, int], None]
) -> list[list[LabelledFile]]:
    groups: dict[str, list[LabelledFile]] = defaultdict(list)
    for done, file in enumerate(files, start=1):
        groups[_digest(file.path)].append(file)
        on_file(done, len(files))
    return [group for group in groups.values() if len(group) > 1]


def _digest(path: Path) -> str:
    with readable(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _roots(folder: Path, names: set[str]) -> list[Path]:
    """Where class folders lie: `folder`, or all places at the first level that has some."""
    level = [folder]
    for _ in range(_MAX_WRAPPINGS + 1):
        children = {place: _folders_in(place) for place in level}
        roots = [place for place in level if _has_class(children[place], names)]
        if roots:
            return roots
        level = [child for found in children.values() for child in found]
    return []


def _has_class(folders: list[Path], names: set[str]) -> bool:
    return any(path.name.casefold() in names for path in folders)


def _class_folders(root: Path, classes: tuple[str, ...]) -> ClassFolders:
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in _folders_in(root):
        by_name[path.name.casefold()].append(path)
    found = {name: by_name.pop(name.casefold()) for name in classes if name.casefold() in by_name}
    for name, paths in found.items():
        if len(paths) > 1:
            raise ConfigError(
                f"{root} has the class {name} twice ({', '.join(path.name for path in paths)}); "
                "move the images of a class into one folder."
            )
    others = (path for paths in by_name.values() for path in paths)
    return ClassFolders(
        root,
        {name: paths[0] for name, paths in found.items()},
        tuple(path for path in others if images_in(path)),
    )


def _folders_in(folder: Path) -> list[Path]:
    with readable(folder):
        return [
            path
            for path in _visible(folder)
            if path.is_dir() and path.name.casefold() not in _LEFT_BY_SYSTEMS
        ]


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn an error of the storage into a ConfigError that names `path`."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}). Give your account the right to read it, "
            "or copy it anew."
        ) from error
