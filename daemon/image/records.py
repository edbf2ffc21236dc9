"""What the daemon's parts hand to each other about an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from edge.errors import RejectReason
from edge.labeller import Outcome, Status
from edge.sidecar import ModelFacts

# A delay that ends with the next start, when all delays are forgotten.
LATER_RUN: Final = float("inf")
# What an image looks like while it is still being written.
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
    """One state of one image file. Another size or mtime is another version.

    `folder_id` is the journal's number of the watch folder, `path` the file's path below it.
    `ctime_ns`, None where it is not known, only says that the bytes may be others: it changes with
    permissions and links as well, and some shares give another one at each look.
    """

    folder_id: int
    path: bytes
    size_bytes: int
    mtime_ns: int
    ctime_ns: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PastOutcome:
    """The outcome that an image has, and keeps unless its bytes or the judgement of them differ."""

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

    @property
    def is_unfinished(self) -> bool:
        """Whether the image is not whole yet, rather than that something refused."""
        return self.cause in UNFINISHED


@dataclass(frozen=True, slots=True)
class Dropped:
    """This version of the image no longer exists: nothing is written for it."""

    image: ClaimedImage
    state: Literal["gone", "superseded"]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The image was looked at again, and its outcome and its sidecars stand as they are."""

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
    """A row of the journal that is older than it needs to be.

    `is_outcome`: it is the newest of its image, which is labelled again without it.
    """

    id: int
    folder_id: int
    path: bytes
    is_outcome: bool
