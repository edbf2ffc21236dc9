"""Simulated slides of which the true shares are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.results.differential.errors import ModelErrors
from edge.results.differential.gibbs import PRIOR
from edge.results.document.result import CELL_CLASSES, LEUKOCYTES, ResultCell

NAMES: Final = (*LEUKOCYTES, "erythroblast")
# Percent of all cells, in the order of `CELL_CLASSES`.
MIXES: Final = {
    "normal": (58.5, 3, 0.8, 28, 6.5, 1, 0.2, 2),
    "lymphocytosis": (22, 2, 0.5, 66, 6, 1, 0.5, 2),
    "left shift": (68, 1, 0.5, 10, 5.5, 11, 2, 2),
    "eosinophilia": (37, 30, 1.2, 22, 6, 1, 0.8, 2),
    "newborn": (46, 3, 0.6, 28, 8, 3, 10, 1.4),
    "monocytosis": (15, 2, 2, 42, 32, 2, 1, 4),
}
# Percent of each true class by label, the last one unidentified. 1.5 % of the neutrophils are
# called immature and 5 % of the immature ones neutrophils; elsewhere about as in the reference
# model's card.
ERRORS: Final = (
    (95.5, 0.3, 0.1, 0.1, 0.3, 1.5, 0.1, 0.1, 2),
    (0.8, 96.5, 0.2, 0.1, 0.1, 0.3, 0, 0, 2),
    (1, 0.4, 93.5, 0.8, 0.5, 0.6, 0.1, 0.1, 3),
    (0.1, 0, 0.2, 95.7, 1.2, 0.3, 0.4, 0.1, 2),
    (0.6, 0, 0.2, 2, 93, 1.2, 0, 0, 3),
    (5, 0.2, 0.3, 0.4, 2, 88.5, 0.1, 0, 3.5),
    (0.2, 0, 0, 1.2, 0.1, 0.2, 96.2, 0.1, 2),
    (0, 0, 0.1, 0.1, 0, 0, 0.2, 98.6, 1),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is simulated.

    Attributes:
        size: images of each class in the validation.
        cells: on the slide.
        seen: cells that a person looks at, "none" or "doubtful".
        patients: concentration of the Dirichlet distribution about the mix that each slide's
            patient is drawn from; with none, all have the mix itself.
        models: whether each slide has a model of its own, with any errors that its validation
            leaves possible; otherwise all have those of `ERRORS`.
    """

    mix: str
    size: int
    cells: int
    seen: str = "none"
    patients: float | None = None
    models: bool = False

    @property
    def shares(self) -> NDArray[np.float64]:
        """Of all cells, by class, in the mix."""
        return _shares(MIXES[self.mix])


@dataclass(frozen=True, slots=True)
class Slide:
    """Labelled cells, the validation of the model that labelled them, and the truth.

    Attributes:
        truth: percent of the leukocytes; of erythroblasts, per 100 leukocytes.
    """

    cells: list[ResultCell]
    errors: ModelErrors
    truth: NDArray[np.float64]


def simulate(scene: Scene, rng: np.random.Generator) -> Slide:
    """A slide with a validation of its own."""
    shares = scene.shares
    if scene.patients is not None:
        shares = rng.dirichlet(scene.patients * shares)
    errors = error_rates()
    table = tuple(tuple(int(n) for n in rng.multinomial(scene.size, row)) for row in errors)
    if scene.models:
        errors = np.array([rng.dirichlet(np.array(row) + PRIOR) for row in table])
    joint = (shares[:, np.newaxis] * errors).ravel()
    pairs = np.repeat(np.arange(joint.size), rng.multinomial(scene.cells, joint / joint.sum()))
    labels = (*CELL_CLASSES, None)
    cells = [
        _cell(number, CELL_CLASSES[pair // len(labels)], labels[pair % len(labels)], scene.seen)
        for number, pair in enumerate(pairs)
    ]
    known = ModelErrors({"graph": table}, {cell.image: "graph" for cell in cells}, "a table")
    return Slide(cells, known, truth_of(shares))


def truth_of(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a differential of these shares of all cells should say, in percent."""
    return np.asarray(100 * shares[: len(NAMES)] / shares[: len(LEUKOCYTES)].sum())


def error_rates() -> NDArray[np.float64]:
    """P(label | true class), of each class a row."""
    return np.array([_shares(row) for row in ERRORS])


def _cell(number: int, true: str, label: str | None, seen: str) -> ResultCell:
    cell = ResultCell(f"{number}.jpg", "", label, 0.99, label)
    is_seen = seen == "doubtful" and label in {None, "ig"}
    return replace(cell, label=true, reviewed_by="U1") if is_seen else cell


def _shares(percent: tuple[float, ...]) -> NDArray[np.float64]:
    values = np.asarray(percent, np.float64)
    return np.asarray(values / values.sum())
