"""Simulates faults on pictures, and tells which of them a reference notices and names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.familiarity.faults import Fault
from converters.familiarity.look import Seen, look, read
from edge.preprocess import InputSpec
from edge.session import InferenceSession
from edge.shares.share import Share
from edge.text.progress import OnCount
from edge.trust.familiarity import FamiliarityCheck
from edge.trust.reference import Reference

# Of large pictures fewer are changed: a fault of forty with 16 megapixels takes a minute, and they
# take 2 GB.
_MOST_PIXELS: Final = 40_000_000
_LEAST_PICTURES: Final = 5


@dataclass(frozen=True, slots=True)
class Tried:
    """A simulated fault: how often it was noticed, and how often its reason was right then."""

    fault: Fault
    noticed: Share
    named: Share


def simulate(
    session: InferenceSession,
    faults: Sequence[Fault],
    paths: Sequence[Path],
    spec: InputSpec,
    on_count: OnCount,
) -> list[Seen]:
    """What a graph sees in pictures with each of the faults."""
    pictures = _some(read(paths))
    found = []
    for number, fault in enumerate(faults, start=1):
        changed = (fault.change(picture) for picture in pictures)
        found.append(look(session, changed, spec, len(pictures)))
        on_count(number, len(faults))
    return found


def try_fault(reference: Reference, graph: str, fault: Fault, seen: Seen) -> Tried:
    """Judge pictures with a fault."""
    _, reasons = judged(reference, graph, seen)
    noticed = [reason for reason in reasons if reason is not None]
    right = sum(reason == fault.reason for reason in noticed)
    return Tried(fault, Share(len(noticed), len(reasons)), Share(right, len(noticed)))


def judged(reference: Reference, graph: str, seen: Seen) -> tuple[list[float], list[str | None]]:
    """Scores and reasons."""
    check = FamiliarityCheck(reference, graph)
    found = [
        check.judge(
            seen.statistics[row],
            None if seen.features is None else seen.features[row],
            int(seen.predicted[row]),
        )
        for row in range(len(seen))
    ]
    return [one.score for one in found], [one.reason for one in found]


def _some(pictures: Iterator[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The first pictures, together as large as `_MOST_PIXELS`, but five in any case."""
    found: list[NDArray[np.uint8]] = []
    pixels = 0
    for picture in pictures:
        pixels += picture.size // 3
        if len(found) >= _LEAST_PICTURES and pixels > _MOST_PIXELS:
            break
        found.append(picture)
    return found
