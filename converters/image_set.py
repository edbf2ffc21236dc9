"""Folders of images for calibration and validation, checked before they are used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge import atomic
from edge.demo.analyzer import drawn_images
from edge.errors import ConfigError, ImageError, TransientError
from edge.images import ImageLimits, decode_image, read_file, read_image
from edge.preprocess import InputSpec, preprocess

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Image files with the class of each, where it is known, and a digest of their bytes.

    The digest does not depend on names or order.
    """

    origin: str
    files: tuple[tuple[str | None, Path], ...]
    sha256: str

    @property
    def is_labelled(self) -> bool:
        """Whether every image has a class."""
        return bool(self.files) and all(label is not None for label, _ in self.files)


def load_images(
    folder: Path, classes: tuple[str, ...] | None = None, limit: int | None = None
) -> ImageSet:
    """Images of a folder and its subfolders.

    Args:
        classes: where given, subfolders are classes and label their images; otherwise the
            images have no labels.
        limit: take this many, as equally as they allow from each subfolder.

    Raises:
        ConfigError: no folder, a folder that is no class, or an image that cannot be decoded: a
            set that silently shrinks would not be the one that the manifest names.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; give one with images in it.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise ConfigError(f"{folder} holds no .jpg or .png images; give a folder with some.")
    if limit is not None and len(paths) > limit:
        paths = _stratified(paths, folder, limit)
    files = tuple((_class_of(path, folder) if classes else None, path) for path in paths)
    if classes:
        _check_labels(files, classes, folder)
    return ImageSet(folder.name, files, _digest(files))


def draw_images(count: int, seed: int, folder: Path) -> ImageSet:
    """Drawn cells of the eight classes, written into `folder`."""
    files: list[tuple[str | None, Path]] = []
    atomic.make_folder(folder)
    for number, (cell_class, content) in enumerate(drawn_images(count, seed)):
        path = folder / f"{number:05}.jpg"
        atomic.write_file(path, content)
        files.append((cell_class, path))
    return ImageSet("drawn cells", tuple(files), _digest(tuple(files)))


def image_batches(images: ImageSet, spec: InputSpec, size: int) -> Iterator[NDArray[np.uint8]]:
    """Preprocessed batches: uint8 (at most `size`, height, width, 3), in order."""
    for first in range(0, len(images.files), size):
        chunk = images.files[first : first + size]
        yield np.stack([preprocess(read_image(path), spec) for _, path in chunk])


def evenly(images: ImageSet, count: int) -> ImageSet:
    """At most `count` images, taken evenly over the whole set; without a digest of their own."""
    picked = np.linspace(0, len(images.files) - 1, min(count, len(images.files)))
    files = tuple(images.files[i] for i in np.unique(picked.round().astype(int)))
    return ImageSet(images.origin, files, "")


def _stratified(paths: list[Path], folder: Path, limit: int) -> list[Path]:
    """`limit` paths, the subfolders taking turns, evenly spread within each."""
    strata: dict[str, list[Path]] = {}
    for path in paths:
        # All loose images are one stratum.
        name = "" if path.parent == folder else path.relative_to(folder).parts[0]
        strata.setdefault(name, []).append(path)
    chosen: list[Path] = []
    # Small strata first: what they cannot give, the larger ones share.
    for done, members in enumerate(sorted(strata.values(), key=len)):
        share = min(len(members), (limit - len(chosen)) // (len(strata) - done))
        picked = np.linspace(0, len(members) - 1, share).round().astype(int)
        chosen += [members[i] for i in picked]
    return sorted(chosen)


def _check_labels(
    files: tuple[tuple[str | None, Path], ...], classes: tuple[str, ...], folder: Path
) -> None:
    labels = {label for label, _ in files if label is not None}
    unknown = sorted(labels - set(classes))
    if unknown:
        raise ConfigError(
            f"{folder} has a folder {unknown[0]!r} that is no class of the model card "
            f"({', '.join(classes)}). Name the folders as the classes, or put all images of an "
            "unlabelled set into one folder."
        )
    if labels and any(label is None for label, _ in files):
        raise ConfigError(
            f"{folder} has class folders and loose images; move the loose images into folders."
        )


def _digest(files: tuple[tuple[str | None, Path], ...]) -> str:
    digests = sorted(hashlib.sha256(_read_checked(path)).digest() for _, path in files)
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _class_of(path: Path, folder: Path) -> str | None:
    relative = path.relative_to(folder)
    return relative.parts[0] if len(relative.parts) > 1 else None


def _read_checked(path: Path) -> bytes:
    try:
        content = read_file(path, ImageLimits()).content
        decode_image(content, ImageLimits())
    except (ImageError, TransientError) as error:
        raise ConfigError(
            f"{path} cannot be used: {error}. Replace or remove the image."
        ) from error
    return content
