"""Cross-validation: the recipe of a head, and what it is worth on images that it has not seen."""

from __future__ import annotations

from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.adapt.head import Floats, Head, Labels, Recipe, fit_views
from edge.postprocess import softmax
from edge.text.progress import OnCount

FOLDS: Final = 5
# On raabin with 24 cells a class, 0.3 to 0.001 give accuracies within a point of each other.
_STRENGTHS: Final = (0.3, 0.1, 0.03, 0.01)
RECIPES: Final = tuple(Recipe(*one) for one in product(_STRENGTHS, (False, True)))
# More images of a class make the choice slower, not better.
MOST_OF_CLASS: Final = 100
_SEED: Final = 20_261_128


def folds_of(labels: Labels, count: int = FOLDS, seed: int = _SEED) -> NDArray[np.int64]:
    """A fold for each image, such that every class is spread over all folds."""
    random = np.random.default_rng(seed)
    folds = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        folds[members] = (np.arange(len(members)) + random.integers(count)) % count
    return folds


def some_of_each(labels: Labels, most: int, seed: int = _SEED) -> NDArray[np.int64]:
    """Indices of at most so many images of each class."""
    random = np.random.default_rng(seed)
    chosen = [
        random.permutation(np.flatnonzero(labels == label))[:most] for label in np.unique(labels)
    ]
    return np.sort(np.concatenate(chosen))


def choose_recipe(
    features: NDArray[np.float32], labels: Labels, parent: Head, on_count: OnCount
) -> Recipe:
    """The recipe with the lowest loss on images that were left out of the fit.

    Args:
        features: shape (images, views, count); the first view is the image as it is.
    """
    few = some_of_each(labels, MOST_OF_CLASS)
    losses = []
    for number, recipe in enumerate(RECIPES, start=1):
        logits = out_of_fold(features[few], labels[few], parent, recipe)
        losses.append(balanced_loss(logits, labels[few]))
        on_count(number, len(RECIPES))
    return RECIPES[int(np.argmin(losses))]


def out_of_fold(
    features: NDArray[np.float32], labels: Labels, parent: Head, recipe: Recipe
) -> NDArray[np.float32]:
    """Logits of each image by a head that was fitted without its fold."""
    folds = folds_of(labels)
    logits = np.zeros((len(labels), len(parent.bias)), np.float32)
    for fold in range(FOLDS):
        out = folds == fold
        if out.any():
            head = fit_views(features[~out], labels[~out], parent, recipe)
            logits[out] = head.logits(features[out, 0])
    return logits


def balanced_loss(logits: NDArray[np.float32], labels: Labels) -> float:
    """Mean over the classes of the cross-entropy, in nats."""
    of_label = softmax(logits)[np.arange(len(labels)), labels]
    losses: Floats = -np.log(np.maximum(of_label, 1e-12))
    return float(np.mean([losses[labels == label].mean() for label in np.unique(labels)]))
