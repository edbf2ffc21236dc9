"""The records about images that the rooms of the daemon exchange: versions, claims, verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from edge.errors import RejectReason
from edge.sidecar import ModelFacts
from edge.status import Status

if TYPE_CHECKING:
    # The labeller brings NumPy and OpenCV, which `status` and `retry` do without.
    from edge.labeller import Outcome

# Not again in this run: the next start clears all delays.
LATER_RUN: Final = float("inf")
# Why an image that is still being written may be rejected.
UNFINISHED: Final = frozenset(
    {
        RejectReason.EMPTY,
        RejectReason.TRUNCATED,
        RejectReason.CORRUPT,
        RejectReason.UNSUPPORTED_FORMAT,
    }
)


@dataclass(frozen=True, slots=True)
class ImageVersion:
    """One state of one image file. With another size or mtime it is another version.

    Attributes:
        folder_id: the journal's id of the watch folder.
        path: the file's path below it.
        size_bytes: its size.
        mtime_ns: its modification time.
        ctime_ns: its change time, None if unknown. A hint only: it also changes with permissions
            and links, and on some shares at each look.
    """

    folder_id: int
    path: bytes
    size_bytes: int
    mtime_ns: int
    ctime_ns: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PastOutcome:
    """The outcome that an image has, and keeps while its bytes and the result are the same."""

    status: Status
    reason: str | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class ClaimedImage:
    """An image that one worker has taken from the journal.

    Attributes:
        id: row in the journal.
        version: the file as it was recorded.
        attempts: how often reading it has failed.
        unfinished_since_s: monotonic time at which this version was first found incomplete or
            unreadable.
        recorded_at: wall clock time at which the file was complete.
        interruptions: how often the process ended while a worker had this image.
        past_outcome: compared with the new one; None: the image is labelled in any case.
    """

    id: int
    version: ImageVersion
    attempts: int = 0
    unfinished_since_s: float | None = None
    recorded_at: float | None = None
    interruptions: int = 0
    past_outcome: PastOutcome | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The image has an outcome; its sidecars are not written yet.

    Attributes:
        image: the image.
        outcome: its outcome.
        model: the one that labelled it; None: it was rejected before inference.
        drift_since_s: since when the images of its watch folder look different from the
            laboratory's, in seconds since 1970; None: they do not.
    """

    image: ClaimedImage
    outcome: Outcome
    model: ModelFacts | None = None
    drift_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class Postponed:
    """The image waits again and is tried after `delay_s`."""

    image: ClaimedImage
    delay_s: float
    attempts: int
    cause: str
    unfinished_since_s: float | None = None

    @property
    def is_unfinished(self) -> bool:
        """Whether the image is incomplete, rather than that reading or writing failed."""
        return self.cause in UNFINISHED


@dataclass(frozen=True, slots=True)
class Dropped:
    """This version of the image no longer exists; no sidecar is written."""

    image: ClaimedImage
    state: Literal["gone", "superseded"]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The image was rechecked; its outcome and its sidecars are kept."""

    image: ClaimedImage


Verdict: TypeAlias = Finished | Postponed | Dropped | Unchanged


@dataclass(frozen=True, slots=True)
class PastImage:
    """An image that has an outcome, by its row in the journal."""

    id: int
    folder_id: int
    path: bytes


@dataclass(frozen=True, slots=True)
class OldRow:
    """A row of the journal that is old enough to be deleted.

    `is_outcome`: it is the newest row of its image, which would be labelled again without it.
    """

    id: int
    folder_id: int
    path: bytes
    is_outcome: bool
