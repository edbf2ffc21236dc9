"""Evaluates input specs: runs the network on labelled images and measures the fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.card_check.fit import Fit, measure_fit, standard_errors
from converters.inputs.image_set import ImageSet, image_batches
from converters.loading.samples import normalise
from edge.errors import ConfigError
from edge.preprocess import InputSpec

# Enough to find a gain of three points with four standard errors on the reference model.
MAX_IMAGES: Final = 400
# A spec that fits worse on this many images is not run on the rest.
TRIAL_IMAGES: Final = 96
# By number of images, the accuracy below which a spec is given up after them. If its true accuracy
# is 60 % (`MIN_BALANCED_ACCURACY`), that is wrong in 1 of 1,000 cases after 16 images, and in 1 of
# 100 after 32.
LEAST_SHARES: Final = {16: 0.25, 32: 0.4}
# A spec that is worse by more standard errors than this after EARLY_IMAGES is given up.
EARLY_IMAGES: Final = 32
MAX_STANDARD_ERRORS_WORSE: Final = 3.0
_LOOKED_AT_AFTER: Final = {*LEAST_SHARES, EARLY_IMAGES, TRIAL_IMAGES}
BATCH_SIZE: Final = 16

# Normalised float32 images (batch, 3, h, w) to logits (batch, classes).
Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class SpecEvaluator:
    """A network without the normalisation in front, and labelled images to run it on.

    The classes take turns in `images`, so that the first images are a fair sample.
    """

    infer: Infer
    images: ImageSet
    labels: NDArray[np.intp]

    def logits(self, spec: InputSpec) -> NDArray[np.float32]:
        """Logits (images, classes) under a spec."""
        return np.concatenate(list(self._batches(spec)))

    def fit(self, spec: InputSpec) -> Fit:
        """How well the logits under a spec fit the labels."""
        return measure_fit(self.logits(spec), self.labels)

    def fit_if_better(self, spec: InputSpec, rival: Fit) -> Fit | None:
        """The fit under a spec; None if it is not better than `rival`. May stop early."""
        rows: list[NDArray[np.float32]] = []
        for batch in self._batches(spec):
            rows.extend(batch)
            if len(rows) < len(self.labels) and len(rows) in _LOOKED_AT_AFTER:
                so_far = measure_fit(np.stack(rows), self.labels[: len(rows)])
                if _is_hopeless(so_far, rival.first(len(rows))):
                    return None
        fit = measure_fit(np.stack(rows), self.labels)
        return fit if fit.share.mean() > rival.share.mean() else None

    def first_batch(self, spec: InputSpec) -> NDArray[np.float32]:
        """Normalised images (BATCH_SIZE or fewer, 3, h, w), to compare two networks."""
        return normalise(next(image_batches(self.images, spec, BATCH_SIZE)), spec)

    def _batches(self, spec: InputSpec) -> Iterator[NDArray[np.float32]]:
        for batch in image_batches(self.images, spec, BATCH_SIZE):
            yield self.infer(normalise(batch, spec))


def _is_hopeless(so_far: Fit, rival: Fit) -> bool:
    """Whether the fit on the first images is so bad that the rest need not be run."""
    count = len(so_far.labels)
    if count == TRIAL_IMAGES and so_far.share.mean() <= rival.share.mean():
        return True
    if count == EARLY_IMAGES and standard_errors(rival, so_far) > MAX_STANDARD_ERRORS_WORSE:
        return True
    return so_far.accuracy < LEAST_SHARES.get(count, 0.0)


def choose_images(images: ImageSet, classes: tuple[str, ...]) -> tuple[ImageSet, NDArray[np.intp]]:
    """Choose at most MAX_IMAGES evenly from every class, classes taking turns; with labels.

    Raises:
        ConfigError: an image's label is no class of the card.
    """
    by_class: dict[str, list[int]] = {}
    for position, (label, _) in enumerate(images.files):
        by_class.setdefault(str(label), []).append(position)
    unknown = sorted(set(by_class) - set(classes))
    if unknown:
        raise ConfigError(
            f"{images.origin} holds images of {unknown[0]!r}, which is no class of the model "
            f"card ({', '.join(classes)}). Validate on images of the card's classes."
        )
    limit = _images_per_class([len(found) for found in by_class.values()])
    turns: list[tuple[int, int]] = []
    for positions in by_class.values():
        picked = np.linspace(0, len(positions) - 1, min(limit, len(positions))).round().astype(int)
        turns += [(turn, positions[i]) for turn, i in enumerate(picked)]
    files = tuple(images.files[position] for _, position in sorted(turns))
    labels = np.array([classes.index(str(label)) for label, _ in files], np.intp)
    return ImageSet(images.origin, files, ""), labels


def _images_per_class(counts: list[int]) -> int:
    """The largest limit per class that keeps the sum within MAX_IMAGES."""
    limit = max(counts)
    while limit > 1 and sum(min(limit, count) for count in counts) > MAX_IMAGES:
        limit -= 1
    return limit
