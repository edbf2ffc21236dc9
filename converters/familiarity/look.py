"""What a graph and the statistics see in pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.image_files.read import read_image
from edge.preprocess import InputSpec, preprocess
from edge.session import InferenceSession
from edge.text.progress import OnCount
from edge.trust.statistics import picture_statistics

_BATCH: Final = 16


@dataclass(frozen=True, slots=True)
class Seen:
    """Pictures in numbers, a row each.

    Attributes:
        statistics: (pictures, statistics).
        features: (pictures, features); None where the graph has none.
        predicted: (pictures,), the index of the most probable class.
    """

    statistics: NDArray[np.float32]
    features: NDArray[np.float32] | None
    predicted: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.predicted)

    def joined(self, other: Seen) -> Seen:
        """These rows and then those of another one, of the same graph."""
        is_without = self.features is None or other.features is None
        return Seen(
            np.concatenate([self.statistics, other.statistics]),
            None if is_without else np.concatenate([self.features, other.features]),
            np.concatenate([self.predicted, other.predicted]),
        )

    def at(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Seen:
        """Some of the rows."""
        features = None if self.features is None else self.features[rows]
        return Seen(self.statistics[rows], features, self.predicted[rows])


def look(
    session: InferenceSession,
    pictures: Iterable[NDArray[np.uint8]],
    spec: InputSpec,
    total: int,
    on_count: OnCount = lambda _done, _total: None,
) -> Seen:
    """Show decoded pictures, uint8 (height, width, 3) RGB, to a graph and the statistics."""
    rows: list[NDArray[np.float32]] = []
    logits, features = [], []
    for batch in _batches(pictures):
        found = session.infer(np.stack([preprocess(one, spec) for one in batch]))
        rows += [picture_statistics(one) for one in batch]
        logits.append(found.logits)
        if found.features is not None:
            features.append(found.features)
        on_count(len(rows), total)
    return Seen(
        np.stack(rows),
        np.concatenate(features) if features else None,
        np.concatenate(logits).argmax(1),
    )


def read(paths: Iterable[Path]) -> Iterator[NDArray[np.uint8]]:
    """The decoded pictures of files, one at a time."""
    return (read_image(path) for path in paths)


def _batches(pictures: Iterable[NDArray[np.uint8]]) -> Iterator[list[NDArray[np.uint8]]]:
    waiting = iter(pictures)
    while batch := list(islice(waiting, _BATCH)):
        yield batch
