"""One result for one target, as the outbox keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """How far a result has come on its way to one target."""

    QUEUED = "queued"
    SENDING = "sending"  # an attempt has begun and its end is not known
    ACKED = "acked"  # the receiver has it
    HELD = "held"  # a person must look
    GIVEN_UP = "given_up"  # a person decided that it is not sent


@dataclass(frozen=True, slots=True)
class Begun:
    """A target that has begun.

    Attributes:
        position: how many of the issued results were looked at for it.
        began: how many there were when it began.
        kind: what is queued for it, and by which way it goes.
    """

    position: int
    began: int
    kind: str


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A result to queue.

    Attributes:
        name: of the file that a drop folder gets.
        content: the exact bytes to send, the same at every attempt; None if the format cannot
            carry the result.
        told: why it cannot.
    """

    result_id: str
    sample_id: str
    slide_key: str
    revision: int
    state: str
    name: str
    content: bytes | None
    told: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the outbox.

    Attributes:
        failures: attempts that the receiver answered with an error.
        told: what the last attempt said, without patient data.
        detail: the receiver's own words, in which it may quote patient data.
        changed: when it came to its stage, in RFC 3339.
    """

    id: int
    target: str
    result_id: str
    sample_id: str
    slide_key: str
    revision: int
    state: str
    name: str
    stage: Stage
    attempts: int
    failures: int
    told: str
    detail: str
    changed: str

    @property
    def title(self) -> str:
        """For a log: the result without patient data."""
        return f"{self.slide_key} revision {self.revision} ({self.state})"
