"""A simulated analyzer that exports cell images as a digital-morphology system does.

Like real analyzers it writes files slowly and in place, on purpose without the durable writes that
the daemon uses for its own files.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

from edge.demo.drawing.cells import CLASSES, draw_cell, encode_jpeg
from edge.image_folders.walk import find_images

Sleep: TypeAlias = Callable[[float], None]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Long enough for the service to see a half-written file, short enough for a demonstration.
_CHUNK_PAUSE_S = 0.002
_CHUNKS_PER_FILE = (3, 7)
_SLIDES_PER_SAMPLE = (1, 4)


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """One exported image; `cell_class` is None for the user's own images."""

    path: Path
    cell_class: str | None
    sha256: str
    method: str


def export_images(
    images: Iterable[tuple[str | None, bytes]],
    export_folder: Path,
    *,
    seed: int,
    images_per_slide: int = 25,
    pause_s: float = 0.0,
    sleep: Sleep = time.sleep,
) -> Iterator[ExportedImage]:
    """Write each image to `<sample>/slide-<n>/<number>` and yield it once it is complete.

    Images are numbered within a slide. The write method is random per image. Names and folders do
    not contain the class.

    Args:
        images: class (or None) and file content.
        export_folder: where new sample folders are made.
        seed: for sample numbers, slides per sample and methods.
        images_per_slide: number of images per slide folder.
        pause_s: pause after each image.
        sleep: called to wait between images and between the chunks of one.
    """
    rng = np.random.default_rng(seed)
    slides = _new_slides(export_folder, rng)
    methods = tuple(_METHODS)
    slide = export_folder
    for count, (cell_class, content) in enumerate(images):
        number = count % images_per_slide + 1
        if number == 1:
            slide = next(slides)
        path = slide / f"{number:04d}{_suffix(content)}"
        method = methods[int(rng.integers(len(methods)))]
        _METHODS[method](path, _chunks(content, rng), sleep)
        yield ExportedImage(path, cell_class, hashlib.sha256(content).hexdigest(), method)
        if pause_s > 0.0:
            sleep(pause_s)


def drawn_images(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Drawn cells as JPEG files, with their class; every eight contain each class once."""
    rng = np.random.default_rng(seed)
    order: list[str] = []
    for _ in range(count):
        if not order:
            order = rng.permutation(CLASSES).tolist()
        cell_class = order.pop()
        yield cell_class, encode_jpeg(draw_cell(cell_class, rng))


def images_in_folder(folder: Path, limit: int | None = None) -> Iterator[tuple[None, bytes]]:
    """The JPEG and PNG files below a folder, in order of their paths, at most `limit`.

    Raises:
        NotADirectoryError: there is no such folder.
        ConfigError: as `find_images`.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"no folder {folder}. Name one that holds JPEG or PNG images.")
    for path in find_images(folder).paths[:limit]:
        yield None, path.read_bytes()


def _new_slides(export_folder: Path, rng: np.random.Generator) -> Iterator[Path]:
    """New slide folders, created one at a time."""
    sample = int(rng.integers(1, 900_000))
    while True:
        folder = export_folder / f"S{sample:06d}"
        sample += 1
        if folder.exists():
            continue
        for slide in range(1, int(rng.integers(*_SLIDES_PER_SAMPLE)) + 1):
            path = folder / f"slide-{slide}"
            path.mkdir(parents=True)
            yield path


def _suffix(content: bytes) -> str:
    return ".png" if content.startswith(_PNG_SIGNATURE) else ".jpg"


def _chunks(content: bytes, rng: np.random.Generator) -> list[bytes]:
    size_bytes = len(content) // int(rng.integers(*_CHUNKS_PER_FILE)) + 1
    return [content[at : at + size_bytes] for at in range(0, len(content), size_bytes)]


def _write_slowly(file: BinaryIO, chunks: list[bytes], sleep: Sleep) -> None:
    for chunk in chunks:
        file.write(chunk)
        file.flush()
        sleep(_CHUNK_PAUSE_S)


def _write_chunked(path: Path, chunks: list[bytes], sleep: Sleep) -> None:
    with path.open("wb") as file:
        _write_slowly(file, chunks, sleep)


def _write_renamed(path: Path, chunks: list[bytes], sleep: Sleep) -> None:
    # Ends in .part, so that no pattern for finished images matches it.
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        _write_slowly(file, chunks, sleep)
    partial.rename(path)


def _write_preallocated(path: Path, chunks: list[bytes], sleep: Sleep) -> None:
    # The file has its final size from the start; only its content shows that it is unfinished.
    with path.open("wb") as file:
        file.truncate(sum(map(len, chunks)))
        sleep(_CHUNK_PAUSE_S)
        _write_slowly(file, chunks, sleep)


_METHODS: dict[str, Callable[[Path, list[bytes], Sleep], None]] = {
    "chunked": _write_chunked,
    "renamed": _write_renamed,
    "preallocated": _write_preallocated,
}
