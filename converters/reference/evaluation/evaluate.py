"""Labels images with each graph of a bundle, and computes accuracies."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.accuracy import statistics as metrics
from converters.accuracy.statistics import Estimate
from converters.reference.data.class_folders import LabelledFile
from converters.reference.evaluation.graphs import open_graph
from edge.bundle import Bundle
from edge.labeller import Labeller, Outcome
from edge.shares.share import Share
from edge.text.progress import OnCount

# The value in `Answers.predicted` for an image that could not be read; it counts as wrong.
REJECTED: Final = -1
ALL_IMAGES: Final = "all"

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Answers:
    """One graph's most probable class for each image (n,) and its probability (n,).

    The confidence limit is not applied, so that the figures describe the network.
    """

    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Paired:
    """Numbers of images that both graphs label right, only the first (lost), only the second."""

    both: int
    lost: int
    won: int
    neither: int

    @property
    def p_value(self) -> float:
        """The p-value of McNemar's exact test that both are right equally often."""
        return metrics.mcnemar(self.lost, self.won)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Labelled images and the labels of each graph.

    `rejected` has the reason for each position whose image could not be read.
    """

    classes: tuple[str, ...]
    files: tuple[LabelledFile, ...]
    labels: NDArray[np.int64]
    answers: dict[str, Answers]
    rejected: dict[int, str]

    def groups(self) -> dict[str, Mask]:
        """Masks of all images, and of those of each known kind and capture, largest first."""
        found = {ALL_IMAGES: np.ones(len(self.files), np.bool_)}
        for what in ("kind", "capture"):
            values = [str(getattr(file, what)) for file in self.files]
            for value, _ in Counter(sorted(filter(None, values))).most_common():
                found[f"{what} {value}"] = np.array([v == value for v in values])
        return found

    def right(self, graph: str) -> Mask:
        """Whether each image is labelled right (n,)."""
        return np.asarray(self.answers[graph].predicted == self.labels, np.bool_)

    def accuracy(self, graph: str, group: Mask, cell_class: int | None = None) -> Share:
        """Right labels among a group's images, of all classes or one."""
        chosen = group if cell_class is None else group & (self.labels == cell_class)
        return Share(int(self.right(graph)[chosen].sum()), int(chosen.sum()))

    def identified(self, graph: str, group: Mask, limit: float) -> Share:
        """Right labels among a group's images whose confidence reaches a limit."""
        return self.accuracy(graph, group & (self.answers[graph].confidence >= limit))

    def confusion(self, graph: str, group: Mask) -> list[list[int]]:
        """Counts with a row per true class, a column per predicted one, the last for rejected."""
        # Position -1 is the last column.
        columns = self.answers[graph].predicted[group] % (len(self.classes) + 1)
        table = metrics.confusion(self.labels[group], columns, len(self.classes) + 1)
        return table[:-1]

    def calibration_error(self, graph: str, group: Mask) -> Estimate | None:
        """Expected calibration error of a group's images; None if none could be read."""
        answers = self.answers[graph]
        chosen = group & (answers.predicted != REJECTED)
        confidence, right = answers.confidence[chosen], self.right(graph)[chosen]
        if not len(right):
            return None
        return metrics.bootstrap(
            len(right), lambda rows: metrics.calibration_error(confidence[rows], right[rows])
        )

    def paired(self, first: str, second: str, group: Mask) -> Paired:
        """The comparison of two graphs on a group's images."""
        one, two = self.right(first)[group], self.right(second)[group]
        return Paired(
            both=int((one & two).sum()),
            lost=int((one & ~two).sum()),
            won=int((two & ~one).sum()),
            neither=int((~one & ~two).sum()),
        )


def evaluate(
    bundle: Bundle,
    files: list[LabelledFile],
    graphs: list[str],
    on_image: OnCount,
    *,
    threads: int = 1,
) -> Judgement:
    """Label every file with every graph, as the daemon would.

    Args:
        files: images whose classes are in the bundle.
        on_image: called with (done, total) after every file.
        threads: number of files that are labelled at the same time; each takes one core.

    Raises:
        TransientError: a file could not be read at the moment.
        BackendError: a graph fails on the golden images.
    """
    labellers = [open_graph(bundle, name) for name in graphs]
    rows: list[list[Outcome]] = []
    with ThreadPoolExecutor(threads) as pool:
        for outcomes in pool.map(partial(_label, labellers), files):
            rows.append(outcomes)
            on_image(len(rows), len(files))
    by_graph = zip(graphs, zip(*rows, strict=True), strict=True)
    return Judgement(
        classes=bundle.classes,
        files=tuple(files),
        labels=np.array([bundle.classes.index(file.cell_class) for file in files], np.int64),
        answers={name: _answers(outcomes) for name, outcomes in by_graph},
        rejected={i: str(row[0].message) for i, row in enumerate(rows) if row[0].logits is None},
    )


def _label(labellers: list[Labeller], file: LabelledFile) -> list[Outcome]:
    return [labeller.label(file.path) for labeller in labellers]


def _answers(outcomes: tuple[Outcome, ...]) -> Answers:
    predicted = [REJECTED if o.logits is None else int(o.logits.argmax()) for o in outcomes]
    confidence = [0.0 if o.decision is None else o.decision.confidence for o in outcomes]
    return Answers(np.array(predicted, np.int64), np.array(confidence, np.float64))
