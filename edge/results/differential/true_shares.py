"""Intervals of the true shares of a slide's classes, of which the labels are a noisy reading."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.results.differential.errors import ModelErrors
from edge.results.differential.gibbs import (
    PRIOR,
    Counts,
    Labelled,
    Length,
    sample_true_counts,
)
from edge.results.document.result import CELL_CLASSES, ERYTHROBLAST, LEUKOCYTES, ResultCell

_TAILS: Final = (0.025, 0.975)
_COLUMN: Final[Mapping[str | None, int]] = {
    **{name: place for place, name in enumerate(CELL_CLASSES)},
    None: len(CELL_CLASSES),
}
LABELS: Final = len(_COLUMN)
# Stands for 0 in a denominator.
_TINY: Final = 1e-300
# Where hardly a leukocyte is certain, erythroblasts per leukocyte have no upper limit; 10,000 each.
_HIGHEST_SHARE: Final = 0.9999
_LENGTH: Final = Length()


def interval_of_shares(
    cells: Sequence[ResultCell], errors: ModelErrors, seed: str
) -> dict[str, tuple[float, float]]:
    """95 % limits by leukocyte class, of its share of the leukocytes, 0 to 1.

    Those of the erythroblasts are of their number per leukocyte. The same cells, errors and seed
    give the same limits with the same version of numpy; numpy may change the streams of its
    distributions (NEP 19), which moves the limits by as much as another seed does.

    Args:
        cells: unseen ones have a table in `errors`.
        seed: any text.
    """
    labelled = counted(cells, errors)
    # PCG64 by name, as numpy's default may change.
    digest = int.from_bytes(hashlib.sha256(seed.encode()).digest())
    rng = np.random.Generator(np.random.PCG64(digest))
    counts = sample_true_counts(_for_chains(labelled, _LENGTH.chains), rng, _LENGTH)
    limits = share_limits(counts.reshape(-1, len(CELL_CLASSES)), known_share(labelled), rng)
    names = (*LEUKOCYTES, ERYTHROBLAST)
    return {name: (float(low), float(high)) for name, low, high in zip(names, *limits, strict=True)}


def counted(cells: Sequence[ResultCell], errors: ModelErrors) -> Labelled:
    """The cells as counts, for one chain.

    Cells that a person has seen and not identified are left out, as they are from the shares.
    Those that are known also tell of the model's errors. Their pairs of class and label are counted
    like validated images: so the errors stay right when a person has seen all cells of some labels
    and none of others (Rubin, Biometrika 63:581, 1976: the choice depends on what is counted).
    """
    graphs = sorted({errors.graph_of[c.image] for c in cells if c.image in errors.graph_of})
    unseen = np.zeros((len(graphs), LABELS), np.int64)
    known = np.zeros(len(CELL_CLASSES), np.int64)
    validated = np.array([errors.tables[graph] for graph in graphs], np.int64)
    for cell in cells:
        graph, label = errors.graph_of.get(cell.image), _COLUMN.get(cell.suggested)
        place = None if graph is None else graphs.index(graph)
        if cell.reviewed_by is None:
            unseen[place, label] += 1
        elif cell.label is not None:
            known[_COLUMN[cell.label]] += 1
            if place is not None and label is not None:
                validated[place, _COLUMN[cell.label], label] += 1
    return Labelled(unseen, known, validated)


def known_share(labelled: Labelled) -> float:
    """Of the cells, those whose class is known, 0 to 1."""
    known, unseen = int(labelled.known.sum()), int(labelled.unseen.sum())
    return known / (known + unseen)


def share_limits(
    counts: Counts, known: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper limits of each leukocyte's share, and of erythroblasts per leukocyte.

    Each drawn count gives a beta distribution of the share, by Jeffreys' prior of half a cell; the
    interval holds the middle 95 % of all. Clopper-Pearson's limits are quantiles of a beta
    distribution as well, with half a cell more on the side of the limit. Known cells bring as much
    of that half as is their share of the cells, so that the interval goes over to Clopper-Pearson's
    while a person looks at cell after cell.

    Args:
        counts: of true classes, drawn (draws, classes).
        known: share of the cells whose class is known, 0 to 1.
    """
    leukocytes = counts[:, : len(LEUKOCYTES)]
    erythroblasts = counts[:, _COLUMN[ERYTHROBLAST], np.newaxis]
    total = leukocytes.sum(axis=1, keepdims=True)
    of_class = np.concatenate([leukocytes, erythroblasts], axis=1)
    others = np.concatenate([total - leukocytes, total], axis=1)
    half = PRIOR * known
    low = _beta_quantile(of_class + PRIOR - half, others + PRIOR + half, _TAILS[0], rng)
    high = _beta_quantile(of_class + PRIOR + half, others + PRIOR - half, _TAILS[1], rng)
    # Of leukocytes and erythroblasts together, the latter have a share; wanted is their ratio.
    for limit in (low, high):
        share = min(limit[-1], _HIGHEST_SHARE)
        limit[-1] = share / (1 - share)
    return low, high


def _beta_quantile(
    a: NDArray[np.float64], b: NDArray[np.float64], tail: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Quantile of a mixture of beta distributions, one of each row, by a draw of each."""
    drawn, rest = rng.standard_gamma(a), rng.standard_gamma(b)
    return np.asarray(np.quantile(drawn / np.maximum(drawn + rest, _TINY), tail, axis=0))


def _for_chains(labelled: Labelled, chains: int) -> Labelled:
    def repeated(values: Counts) -> Counts:
        return np.broadcast_to(values, (chains, *values.shape))

    return Labelled(
        repeated(labelled.unseen), repeated(labelled.known), repeated(labelled.validated)
    )
