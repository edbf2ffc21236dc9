"""What the daemon's parts hand to each other about an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from edge.labeller import Outcome
from edge.sidecar import ModelFacts

# A delay that ends with the next start, when all delays are forgotten.
LATER_RUN: Final = float("inf")


@dataclass(frozen=True, slots=True)
class ImageVersion:
    """One state of one image file. Another size or mtime is another version, labelled anew.

    `root` is the journal's number of the watch folder, `path` the file's path below it.
    """

    root: int
    path: bytes
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class ClaimedImage:
    """An image that one worker has taken from the journal.

    `unfinished_since_s` is the monotonic time at which this version was first seen not to be
    whole, or not to be readable. `recorded_at` is the wall clock's time at which it was complete.
    `interruptions` counts how often the daemon ended with the image in hand.
    """

    id: int
    version: ImageVersion
    attempts: int = 0
    unfinished_since_s: float | None = None
    recorded_at: float | None = None
    interruptions: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The image has its outcome; the sidecars are still to be written.

    `model` is the one that labelled it; None where no model saw it.
    """

    image: ClaimedImage
    outcome: Outcome
    model: ModelFacts | None = None


@dataclass(frozen=True, slots=True)
class Postponed:
    """The image goes back to waiting and is tried again after `delay_s`."""

    image: ClaimedImage
    delay_s: float
    attempts: int
    cause: str
    unfinished_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """This version of the image no longer exists: nothing is written for it."""

    image: ClaimedImage
    state: Literal["gone", "superseded"]


Verdict: TypeAlias = Finished | Postponed | Dropped


@dataclass(frozen=True, slots=True)
class OldRow:
    """A row of the journal that is older than it needs to be.

    `is_outcome`: it is the newest of its image, which is labelled again without it.
    """

    id: int
    root: int
    path: bytes
    is_outcome: bool
