"""Gibbs sampler of the true classes behind labels that a model has given.

The labels of a slide are a noisy reading of its mix: y ~ Multinomial(n, p M), where M has a row per
true class and a column per label (Perez et al., RACSAM 101:71, 2007). Both are unknown: p has the
prior Dirichlet(0.5), and each row of M Dirichlet(validated counts + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

# Of each share and of each error: Jeffreys' prior.
PRIOR: Final = 0.5


@dataclass(frozen=True, slots=True)
class Length:
    """How long is sampled.

    The chains start far apart, with mixes that know nothing of the labels. On slides as in
    `tests.campaigns.coverage`, the potential scale reduction (Gelman and Rubin 1992) of each share
    is at most 1.03, and another seed moves the limits by 0.2 points (standard deviation, median of
    the slides' largest).

    Attributes:
        sweeps: of each chain, the burn-in among them.
        burn_in: sweeps that are left out.
    """

    chains: int = 8
    sweeps: int = 600
    burn_in: int = 100


@dataclass(frozen=True, slots=True)
class Labelled:
    """What is known of the cells; the same for all chains, or of one slide per chain.

    Attributes:
        unseen: labels of the cells that nobody has seen (chains, graphs, labels).
        known: cells whose class is known (chains, classes).
        validated: counts of true class and label on images whose class is known
            (chains, graphs, classes, labels); the first labels are the classes.
    """

    unseen: Counts
    known: Counts
    validated: Counts


def sample_true_counts(labelled: Labelled, rng: np.random.Generator, length: Length) -> Counts:
    """Numbers of cells of each true class, known ones among them: (kept sweeps, chains, classes).

    A sweep draws the true class of each unseen cell, given its label, then the mix and the errors,
    given the classes.
    """
    chains, classes = labelled.known.shape
    # Labels with their classes, the label's own class first: most of a label's cells are of that
    # class, and numpy draws a multinomial class by class until no cell is left.
    order = _own_class_first(classes, labelled.unseen.shape[-1])
    back = order.argsort(axis=-1)
    seen_errors = np.swapaxes(labelled.validated, -1, -2) + PRIOR
    errors = _errors(seen_errors, rng)
    mix = _normalised(rng.standard_gamma(np.ones((chains, classes))))
    kept = np.empty((length.sweeps - length.burn_in, chains, classes), np.int64)
    places = np.arange(len(order))[:, np.newaxis]
    for sweep in range(-length.burn_in, len(kept)):
        weights = _normalised((mix[:, np.newaxis, np.newaxis] * errors)[..., places, order])
        drawn = rng.multinomial(labelled.unseen, weights)[..., places, back]
        counts = labelled.known + drawn.sum(axis=(1, 2))
        mix = _normalised(rng.standard_gamma(counts + PRIOR))
        errors = _errors(seen_errors + drawn, rng)
        if sweep >= 0:
            kept[sweep] = counts
    return kept


def _own_class_first(classes: int, labels: int) -> NDArray[np.int64]:
    """For each label all classes (labels, classes)."""
    return np.array(
        [sorted(range(classes), key=lambda k: (k != label, k)) for label in range(labels)]
    )


def _errors(shapes: NDArray[np.floating[Any]], rng: np.random.Generator) -> NDArray[np.float64]:
    """P(label | true class), drawn: (chains, graphs, labels, classes)."""
    drawn = rng.standard_gamma(shapes)
    return np.asarray(drawn / drawn.sum(axis=-2, keepdims=True), np.float64)


def _normalised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values / values.sum(axis=-1, keepdims=True), np.float64)
