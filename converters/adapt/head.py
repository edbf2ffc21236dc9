"""A last layer: fitted to labelled features by softmax regression, with numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

# Steps of the fit; the loss is strongly convex, and its minimum is reached long before.
_STEPS: Final = 400
# This share of the typical spread is added to each: a feature that hardly varies stays small.
_LEAST_SPREAD: Final = 0.05
# The bias is held a thousand times more loosely than the weights.
_BIAS_SHARE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Head:
    """A linear layer: logits = features @ weights (count, classes) + bias (classes,)."""

    weights: Floats
    bias: Floats

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (images, classes) of features (images, count)."""
        return np.asarray(features.astype(np.float64) @ self.weights + self.bias, np.float32)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a head is fitted.

    Attributes:
        strength: of the L2 penalty, per image of a balanced set.
        from_parent: whether weights are pulled to the parent's, not to zero.
    """

    strength: float
    from_parent: bool


def fit_head(features: NDArray[np.float32], labels: Labels, parent: Head, recipe: Recipe) -> Head:
    """Fit a head; every class that has images weighs the same.

    A class without images keeps the parent's row.

    Args:
        features: shape (images, count).
        labels: indices of the classes, shape (images,).
    """
    values = features.astype(np.float64)
    mean = values.mean(0)
    spread = np.sqrt(values.var(0) + (_LEAST_SPREAD * values.std()) ** 2)
    # With fewer images than features, the weights lie in the space of the images: much smaller.
    left, sizes, axes = np.linalg.svd((values - mean) / spread, full_matrices=False)
    kept = sizes > 1e-6 * max(sizes[0], 1e-12)
    rows = np.hstack([left[:, kept] * sizes[kept], np.ones((len(values), 1))])
    is_fitted = np.isin(np.arange(len(parent.bias)), labels)
    is_parents = np.full_like(is_fitted, recipe.from_parent) | ~is_fitted
    start = Head(parent.weights * is_parents, parent.bias * is_parents)
    found = _minimum(rows, labels, values @ start.weights + start.bias, is_fitted, recipe.strength)
    change = axes[kept].T @ found[:-1] / spread[:, None]
    return Head(start.weights + change, start.bias + found[-1] - mean @ change)


def fit_views(features: NDArray[np.float32], labels: Labels, parent: Head, recipe: Recipe) -> Head:
    """As `fit_head`, with several views of each image: features (images, views, count)."""
    _, views, count = features.shape
    return fit_head(features.reshape(-1, count), np.repeat(labels, views), parent, recipe)


def _minimum(
    rows: Floats, labels: Labels, base: Floats, is_fitted: NDArray[np.bool_], strength: float
) -> Floats:
    """Coefficients (columns of rows, classes) with the lowest loss, by accelerated descent.

    Nesterov's method for smooth convex functions; the step follows from the largest curvature.
    """
    counts = np.bincount(labels, minlength=base.shape[1])
    weight = 1 / (counts[labels] * is_fitted.sum())
    wanted = np.eye(base.shape[1])[labels]
    penalty = np.full((rows.shape[1], 1), strength)
    penalty[-1] *= _BIAS_SHARE
    curvature = 0.5 * np.linalg.norm(rows * np.sqrt(weight)[:, None], 2) ** 2 + strength
    found = ahead = np.zeros((rows.shape[1], base.shape[1]))
    momentum = 1.0
    for _ in range(_STEPS):
        scores = base + rows @ ahead
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        slope = rows.T @ ((probabilities - wanted) * weight[:, None]) + penalty * ahead
        following = ahead - slope * is_fitted / curvature
        further = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = following + (momentum - 1) / further * (following - found)
        found, momentum = following, further
    return np.asarray(found, np.float64)
