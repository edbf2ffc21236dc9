"""Reads folders that have one subfolder of images per class.

The subfolder's name is the class; file names do not matter. Images may be in deeper folders, and
links are followed. Files of operating systems are skipped and counted: hidden files
(`._BNE_1.jpg`, `.DS_169665.jpg`), `Thumbs.db`, `__MACOSX`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from converters.inputs.class_names import caseless
from edge.errors import ConfigError
from edge.image_folders.names import READ_SUFFIXES, is_system_name
from edge.image_folders.walk import FoundImages, LeftOut, find_images, readable, require_target
from edge.text.progress import OnCount

# Unpacking may put the class folders into one or two folders of the archive's name.
_MAX_WRAPPINGS: Final = 2


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
    """The images by class, those in other folders, and the number directly in the root."""

    root: Path
    found: dict[str, FoundImages]
    unknown: dict[str, FoundImages]
    loose: int

    def files(self, kind: str = "") -> list[LabelledFile]:
        """The images of the classes, in the order of classes and names."""
        return [
            LabelledFile(path, cell_class, kind)
            for cell_class, images in self.found.items()
            for path in images.paths
        ]

    def left_out(self) -> LeftOut:
        """The counts of skipped entries in the class folders."""
        total = LeftOut()
        for images in self.found.values():
            total.add(images.left_out)
        return total


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Files with the same bytes in different classes; at most one of the labels is right."""

    files: tuple[LabelledFile, ...]

    def __str__(self) -> str:
        named = [f"{file.cell_class}/{file.path.name}" for file in self.files]
        return f"{' and '.join(named)} are the same image in different classes; all left out"


def find_class_folders(folder: Path, classes: Iterable[str]) -> ClassFolders:
    """Find the class folders in `folder`, or one or two levels below; names in any case.

    Raises:
        ConfigError: not a folder, not readable, none of the classes, one class twice, or a broken
            link.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; give one that holds a folder per class.")
    classes = tuple(classes)
    roots = _roots(folder, {caseless(name) for name in classes})
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


def without_contradictions(
    files: list[LabelledFile], on_file: OnCount
) -> tuple[list[LabelledFile], list[Contradiction]]:
    """Split off the files whose bytes occur in another class too.

    Args:
        on_file: called with (done, total) while files are read.
    """
    same = [group for group in _same_bytes(files, on_file) if _is_contradictory(group)]
    left_out = {file.path for group in same for file in group}
    kept = [file for file in files if file.path not in left_out]
    return kept, [Contradiction(tuple(group)) for group in same]


def _is_contradictory(group: list[LabelledFile]) -> bool:
    return len({file.cell_class for file in group}) > 1


def _same_bytes(files: list[LabelledFile], on_file: OnCount) -> list[list[LabelledFile]]:
    groups: dict[str, list[LabelledFile]] = defaultdict(list)
    for done, file in enumerate(files, start=1):
        groups[_digest(file.path)].append(file)
        on_file(done, len(files))
    return [group for group in groups.values() if len(group) > 1]


def _digest(path: Path) -> str:
    with readable(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _roots(folder: Path, names: set[str]) -> list[Path]:
    """The folders with class folders: `folder`, or those at the first level that has some."""
    level = [folder]
    for _ in range(_MAX_WRAPPINGS + 1):
        children = {place: _folders_in(place) for place in level}
        roots = [place for place in level if _has_class(children[place], names)]
        if roots:
            return roots
        level = [child for found in children.values() for child in found]
    return []


def _has_class(folders: list[Path], names: set[str]) -> bool:
    return any(caseless(path.name) in names for path in folders)


def _class_folders(root: Path, classes: tuple[str, ...]) -> ClassFolders:
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in _folders_in(root):
        by_name[caseless(path.name)].append(path)
    found = {name: by_name.pop(caseless(name)) for name in classes if caseless(name) in by_name}
    for name, paths in found.items():
        if len(paths) > 1:
            raise ConfigError(
                f"{root} has the class {name} twice ({', '.join(path.name for path in paths)}); "
                "move the images of a class into one folder."
            )
    others = {path.name: find_images(path) for paths in by_name.values() for path in paths}
    return ClassFolders(
        root,
        {name: find_images(paths[0]) for name, paths in found.items()},
        {name: images for name, images in others.items() if images.images},
        sum(path.suffix.lower() in READ_SUFFIXES for path in _visible(root)),
    )


def _folders_in(folder: Path) -> list[Path]:
    found = _visible(folder)
    for path in found:
        require_target(path)
    return [path for path in found if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    with readable(folder):
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [path for path in found if not is_system_name(path.name)]
