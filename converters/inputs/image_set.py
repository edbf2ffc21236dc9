"""Loads and checks folders of images for calibration and validation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from converters.inputs.class_names import near_miss, normal
from edge.demo.analyzer import drawn_images
from edge.errors import ConfigError, ImageError, TransientError
from edge.files import atomic
from edge.image_files.read import read_image, read_named_file
from edge.image_folders.walk import FoundImage, find_images
from edge.preprocess import InputSpec, preprocess
from edge.text.counted import counted
from edge.text.progress import OnProgress

_Files: TypeAlias = tuple[tuple[str | None, Path], ...]


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Image files, each with its class or None, and a digest of their bytes.

    The digest does not depend on names or order. `left_out` are lines about skipped files.
    """

    origin: str
    files: tuple[tuple[str | None, Path], ...]
    sha256: str
    left_out: tuple[str, ...] = ()

    @property
    def is_labelled(self) -> bool:
        """Whether every image has a class."""
        return bool(self.files) and all(label is not None for label, _ in self.files)

    @property
    def left_out_text(self) -> str:
        """The skipped files in brackets, for a message about too few images; empty if none."""
        return _in_brackets(self.left_out)


def load_images(
    folder: Path,
    classes: tuple[str, ...] | None = None,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
) -> ImageSet:
    """Load the images of a folder and its subfolders; links are followed.

    An image with several links to it is loaded once, and so is a labelled one with copies.

    Args:
        classes: if given, subfolders are classes and label their images; otherwise the images
            have no labels.
        limit: take at most this many, as equally as possible from each subfolder.
        on_progress: called with (step, done, total) while the files are read.

    Raises:
        ConfigError: not a folder, a subfolder that is not a class, an image or its copy in two
            classes, or an image that cannot be decoded. Broken images are not skipped, so that the
            set is the one that the manifest names.
    """
    found = find_images(folder)
    left_out = found.left_out
    if not found.images:
        raise _no_images(folder, left_out.lines())
    labels = _labels(found.images, folder, classes) if classes else {}
    images = _once(found.images, labels)
    left_out.repeated += len(found.images) - len(images)
    paths = [image.path for image in images]
    if limit is not None and len(paths) > limit:
        paths = _stratified(paths, folder, limit)
    files = tuple((labels.get(path), path) for path in paths)
    digests = _digests(files, f"reading {folder.name}", on_progress)
    if labels:
        files, digests = _without_copies(files, digests)
        left_out.copies += len(paths) - len(files)
    return ImageSet(folder.name, files, _joined(digests), left_out.lines())


def load_readable(folder: Path, limit: int, on_progress: OnProgress | None = None) -> ImageSet:
    """As `load_images` without labels, but broken images are left out; the digest is empty.

    Raises:
        ConfigError: not a folder, or one without images.
    """
    found = find_images(folder)
    if not found.images:
        raise _no_images(folder, found.left_out.lines())
    paths = [image.path for image in _once(found.images, {})]
    if len(paths) > limit:
        paths = _stratified(paths, folder, limit)
    files: list[tuple[str | None, Path]] = []
    for number, path in enumerate(paths, start=1):
        with suppress(ImageError, TransientError):
            read_image(path)
            files.append((None, path))
        if on_progress:
            on_progress(f"reading {folder.name}", number, len(paths))
    broken = len(paths) - len(files)
    lines = (counted(broken, "broken image"),) if broken else ()
    return ImageSet(folder.name, tuple(files), "", (*found.left_out.lines(), *lines))


def draw_images(count: int, seed: int, folder: Path) -> ImageSet:
    """Drawn cells of the eight classes, written into `folder`."""
    files: list[tuple[str | None, Path]] = []
    atomic.make_folder(folder)
    for number, (cell_class, content) in enumerate(drawn_images(count, seed)):
        path = folder / f"{number:05}.jpg"
        atomic.write_file(path, content)
        files.append((cell_class, path))
    return ImageSet("drawn cells", tuple(files), _joined(_digests(tuple(files))))


def image_batches(images: ImageSet, spec: InputSpec, size: int) -> Iterator[NDArray[np.uint8]]:
    """Preprocessed batches: uint8 (at most `size`, height, width, 3), in order."""
    for first in range(0, len(images.files), size):
        chunk = images.files[first : first + size]
        yield np.stack([preprocess(read_image(path), spec) for _, path in chunk])


def evenly(images: ImageSet, count: int) -> ImageSet:
    """At most `count` images, spread evenly over the whole set; the digest is empty."""
    picked = np.linspace(0, len(images.files) - 1, min(count, len(images.files)))
    files = tuple(images.files[i] for i in np.unique(picked.round().astype(int)))
    return ImageSet(images.origin, files, "")


def _no_images(folder: Path, left_out: tuple[str, ...]) -> ConfigError:
    return ConfigError(
        f"{folder} holds no .jpg or .png images{_in_brackets(left_out)}; give a folder with some."
    )


def _in_brackets(left_out: tuple[str, ...]) -> str:
    return f" (left out: {'; '.join(left_out)})" if left_out else ""


def _stratified(paths: list[Path], folder: Path, limit: int) -> list[Path]:
    """`limit` paths, as equally as possible from each subfolder, spread evenly within each."""
    strata: dict[str, list[Path]] = {}
    for path in paths:
        # Images directly in the folder form one stratum.
        strata.setdefault(_entry(path, folder), []).append(path)
    chosen: list[Path] = []
    # Small strata first: what they lack is taken from the larger ones.
    for done, members in enumerate(sorted(strata.values(), key=len)):
        share = min(len(members), (limit - len(chosen)) // (len(strata) - done))
        picked = np.linspace(0, len(members) - 1, share).round().astype(int)
        chosen += [members[i] for i in picked]
    return sorted(chosen)


def _labels(
    images: tuple[FoundImage, ...], folder: Path, classes: tuple[str, ...]
) -> dict[Path, str]:
    """The class of each image in the card's spelling; empty if there are no subfolders."""
    entries = {image.path: _entry(image.path, folder) for image in images}
    by_name = {normal(name): name for name in classes}
    named = {entry for entry in entries.values() if entry}
    unknown = sorted(name for name in named if normal(name) not in by_name)
    if unknown:
        raise ConfigError(
            f"{folder} has a folder {unknown[0]!r} that is no class of the model card "
            f"({', '.join(classes)}).{near_miss(unknown[0], classes)} Name the folders like the "
            "classes, or put all images of an unlabelled set into one folder."
        )
    if named and "" in entries.values():
        raise ConfigError(
            f"{folder} has class folders and loose images; move the loose images into folders."
        )
    return {path: by_name[normal(entry)] for path, entry in entries.items() if entry}


def _once(images: tuple[FoundImage, ...], labels: dict[Path, str]) -> list[FoundImage]:
    """The images without duplicates, which links in two folders can cause."""
    by_file: dict[str, FoundImage] = {}
    for image in images:
        first = by_file.setdefault(image.real, image)
        if labels.get(first.path) != labels.get(image.path):
            raise ConfigError(
                f"{first.path} and {image.path} are the same file in two classes, but an image has "
                "one class. Remove the wrong link."
            )
    return list(by_file.values())


def _without_copies(files: _Files, digests: list[bytes]) -> tuple[_Files, list[bytes]]:
    """The first file of each content: copies in two parts of a set would flatter its figures."""
    first: dict[bytes, tuple[str | None, Path]] = {}
    for (label, path), digest in zip(files, digests, strict=True):
        known, before = first.setdefault(digest, (label, path))
        if known != label:
            raise ConfigError(
                f"{before} and {path} are copies of one image in two classes, but an image has one "
                "class. Remove the wrong one."
            )
    return tuple(first.values()), list(first)


def _digests(files: _Files, step: str = "", on_progress: OnProgress | None = None) -> list[bytes]:
    digests = []
    for number, (_, path) in enumerate(files, start=1):
        digests.append(hashlib.sha256(read_named_file(path)).digest())
        if on_progress:
            on_progress(step, number, len(files))
    return digests


def _joined(digests: list[bytes]) -> str:
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def _entry(path: Path, folder: Path) -> str:
    """The top-level subfolder of a file; empty for a file directly in the folder."""
    relative = path.relative_to(folder)
    return relative.parts[0] if len(relative.parts) > 1 else ""
