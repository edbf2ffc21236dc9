"""Loads the images of a training run into memory, and samples from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.reference.data.pbc import CLASSES, LabelledFile
from converters.reference.training.augment import denoise
from edge.demo.drawing.cells import draw_cell
from edge.image_files.read import read_named_image
from edge.text.progress import OnCount

Image = NDArray[np.uint8]

# Shares of a class's samples: drawn cells, so that the model also labels the demonstration's, and
# smoothed copies, as other software makes them. The rest are the analyzer's images.
DRAWN_SHARE: Final = 0.03
SMOOTHED_SHARE: Final = 0.12
DRAWN_PER_CLASS: Final = 60
# Smoothing takes a sixth of a second per image, so only some images are smoothed.
SMOOTHED_PER_CLASS: Final = 150


@dataclass(frozen=True, slots=True)
class ValidationSample:
    """A decoded image, the index of its class and its kind."""

    image: Image
    label: int
    kind: str


@dataclass(frozen=True, slots=True)
class ClassSamples:
    """The images of one class; `smoothed` are copies of some of `real`."""

    real: list[Image]
    smoothed: list[Image]
    drawn: list[Image]

    def draw(self, rng: np.random.Generator) -> Image:
        """A random image."""
        choice = rng.random()
        pool = self.real
        if choice < DRAWN_SHARE:
            pool = self.drawn
        elif choice < DRAWN_SHARE + SMOOTHED_SHARE and self.smoothed:
            pool = self.smoothed
        return pool[int(rng.integers(len(pool)))]


@dataclass(frozen=True, slots=True)
class TrainingSamples:
    """Images by class, in the order of `CLASSES`; every class is drawn equally often."""

    by_class: list[ClassSamples]

    def draw(self, rng: np.random.Generator) -> tuple[Image, int]:
        """A random image and the index of its class."""
        label = int(rng.integers(len(self.by_class)))
        return self.by_class[label].draw(rng), label


def load_training(files: list[LabelledFile], seed: int, on_image: OnCount) -> TrainingSamples:
    """Decode all training images, smooth some of each class, and add drawn cells.

    Args:
        on_image: called with (done, total) after every file.
    """
    by_class = [ClassSamples([], [], []) for _ in CLASSES]
    seen: Counter[str] = Counter()

    def prepare(position: int, *, is_smoothed: bool) -> tuple[Image, Image | None]:
        image = read_named_image(files[position].path)
        rng = np.random.default_rng((seed, position))
        return image, denoise(image, rng) if is_smoothed else None

    # Threads help because OpenCV releases the interpreter's lock.
    with ThreadPoolExecutor() as pool:
        pending = []
        for position, file in enumerate(files):
            is_smoothed = seen[file.cell_class] < SMOOTHED_PER_CLASS
            seen[file.cell_class] += 1
            pending.append(pool.submit(prepare, position, is_smoothed=is_smoothed))
        for position, (file, future) in enumerate(zip(files, pending, strict=True)):
            try:
                image, smoothed = future.result()
            except BaseException:
                # After an error or Ctrl-C, do not prepare the remaining thousands of images.
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            samples = by_class[CLASSES.index(file.cell_class)]
            samples.real.append(image)
            if smoothed is not None:
                samples.smoothed.append(smoothed)
            on_image(position + 1, len(files))
    for label, cell_class in enumerate(CLASSES):
        by_class[label].drawn.extend(draw_many(cell_class, DRAWN_PER_CLASS, seed))
    return TrainingSamples(by_class)


def load_validation(
    files: Iterable[LabelledFile], drawn_per_class: int, seed: int
) -> list[ValidationSample]:
    """Decode validation images, and add drawn cells that training does not use."""
    samples = [
        ValidationSample(read_named_image(file.path), CLASSES.index(file.cell_class), file.kind)
        for file in files
    ]
    for label, cell_class in enumerate(CLASSES):
        drawn = draw_many(cell_class, drawn_per_class, seed)
        samples.extend(ValidationSample(image, label, "drawn") for image in drawn)
    return samples


def draw_many(cell_class: str, count: int, seed: int) -> list[Image]:
    """`count` drawn cells of one class; they depend on the seed."""
    rng = np.random.default_rng((seed, CLASSES.index(cell_class)))
    return [draw_cell(cell_class, rng) for _ in range(count)]
