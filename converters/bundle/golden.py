"""Chooses the golden images of a bundle, and adds them to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.bundle.writer import BundleWriter, to_json
from converters.familiarity.laboratory import Laboratory
from converters.int8.graphs import INT8
from converters.search.judging import Judging
from edge.manifest import GOLDEN_NAME, ROLE_GOLDEN

# Two of each of eight classes; they take less than a tenth of a second at every start.
GOLDEN_COUNT: Final = 16


def choose_golden(
    fp32: NDArray[np.float32], other: NDArray[np.float32], count: int = GOLDEN_COUNT
) -> list[int]:
    """The images with the largest margins in both models, spread over the predicted classes.

    Such images keep their label despite other rounding, so a changed label means that something on
    this machine computes wrongly: the processor, a driver or a library.
    """
    margins = np.minimum(_margins(fp32), _margins(other))
    by_class: dict[int, list[int]] = {}
    for image in np.argsort(-margins, kind="stable"):
        if fp32[image].argmax() == other[image].argmax():
            by_class.setdefault(int(fp32[image].argmax()), []).append(int(image))
    chosen: list[int] = []
    while len(chosen) < count and any(by_class.values()):
        chosen.extend(images.pop(0) for images in by_class.values() if images)
    return chosen[:count]


def add_golden(
    writer: BundleWriter,
    judging: Judging,
    logits: Mapping[str, NDArray[np.float32]],
    laboratory: Laboratory,
) -> None:
    """Add golden images of the validation, with what each graph computed for them.

    Args:
        logits: (images, classes) of all validation images, by the key that a session looks up.
        laboratory: gives their familiarity scores.
    """
    entries = []
    for number, image in enumerate(
        choose_golden(judging.fp32, logits.get(INT8.name, judging.fp32))
    ):
        source = judging.validation.paths[image]
        path = f"golden/{number:02}{source.suffix.lower()}"
        writer.add(path, source.read_bytes(), ROLE_GOLDEN)
        kept = {p: [round(float(v), 5) for v in rows[image]] for p, rows in logits.items()}
        scores = laboratory.scores(source)
        entry = {"path": path, "logits": kept}
        entries.append({**entry, **({"familiarity": scores} if scores else {})})
    writer.add(GOLDEN_NAME, to_json(entries), ROLE_GOLDEN)


def _margins(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    ordered = np.sort(logits, axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2], np.float32)
