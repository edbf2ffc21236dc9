"""The images of a training run, in memory, and how often each is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from converters.reference.augment import denoise
from converters.reference.pbc import CLASSES, LabelledFile
from edge.demo.cells import draw_cell
from edge.images import read_image

Image = NDArray[np.uint8]

# Shares of the images drawn for one class. Native is what the analyzer exports; its share is
# bounded for classes with a handful of native images, which would be learned by heart.
DRAWN_SHARE = 0.06
NATIVE_SHARE = 0.6
NATIVE_REPEATS_MAX = 8.0
DRAWN_PER_CLASS = 60


@dataclass(frozen=True, slots=True)
class ValidationSample:
    """A decoded image, the index of its class and its kind."""

    image: Image
    label: int
    kind: str


@dataclass(frozen=True, slots=True)
class ClassSamples:
    """The images of one class. `native_denoised` pairs with `native`."""

    native: list[Image]
    native_denoised: list[Image]
    other: list[Image]
    drawn: list[Image]

    def draw(self, rng: np.random.Generator) -> Image:
        """One image at random: drawn, native (half of them smoothed) or another kind."""
        if rng.random() < DRAWN_SHARE:
            return self.drawn[int(rng.integers(len(self.drawn)))]
        if rng.random() < native_share(len(self.native), len(self.other)):
            pool = self.native if rng.random() < 0.5 else self.native_denoised
            return pool[int(rng.integers(len(pool)))]
        return self.other[int(rng.integers(len(self.other)))]


@dataclass(frozen=True, slots=True)
class TrainingSamples:
    """Images by class, in the order of `CLASSES`; every class is drawn equally often."""

    by_class: list[ClassSamples]

    def draw(self, rng: np.random.Generator) -> tuple[Image, int]:
        """One image and the index of its class."""
        label = int(rng.integers(len(self.by_class)))
        return self.by_class[label].draw(rng), label


def native_share(native: int, other: int) -> float:
    """Share of native images among a class's real ones, at most `NATIVE_REPEATS_MAX` fold."""
    if other == 0:
        return 1.0
    if native == 0:
        return 0.0
    bounded = NATIVE_REPEATS_MAX * native / (NATIVE_REPEATS_MAX * native + other)
    return min(NATIVE_SHARE, bounded)


def load_training(
    files: list[LabelledFile], seed: int, on_image: Callable[[int, int], None]
) -> TrainingSamples:
    """Decode all training images, smooth the native ones and draw the drawn ones.

    Args:
        on_image: called with (done, total) after every file.
    """
    by_class = [ClassSamples([], [], [], []) for _ in CLASSES]
    for position, file in enumerate(files):
        image = read_image(file.path)
        samples = by_class[CLASSES.index(file.cell_class)]
        if file.kind == "native":
            samples.native.append(image)
            samples.native_denoised.append(denoise(image, np.random.default_rng((seed, position))))
        else:
            samples.other.append(image)
        on_image(position + 1, len(files))
    for label, cell_class in enumerate(CLASSES):
        by_class[label].drawn.extend(draw_many(cell_class, DRAWN_PER_CLASS, seed))
    return TrainingSamples(by_class)


def load_validation(
    files: Iterable[LabelledFile], drawn_per_class: int, seed: int
) -> list[ValidationSample]:
    """Decode validation images and add drawn ones that training does not see."""
    samples = [
        ValidationSample(read_image(file.path), CLASSES.index(file.cell_class), file.kind)
        for file in files
    ]
    for label, cell_class in enumerate(CLASSES):
        drawn = draw_many(cell_class, drawn_per_class, seed)
        samples.extend(ValidationSample(image, label, "drawn") for image in drawn)
    return samples


def draw_many(cell_class: str, count: int, seed: int) -> list[Image]:
    """`count` drawn cells of one class; other seeds give other cells."""
    rng = np.random.default_rng((seed, CLASSES.index(cell_class)))
    return [draw_cell(cell_class, rng) for _ in range(count)]
