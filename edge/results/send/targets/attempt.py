"""What became of one attempt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What is done next with a message."""

    DONE = "done"  # the receiver has it
    AGAIN = "again"  # the receiver said that it failed: try again, then hold it
    REFUSED = "refused"  # trying again would not help: hold it
    AWAY = "away"  # the receiver cannot be reached: try until it can
    UNCLEAR = "unclear"  # the message left and no valid answer came: see `Delivery`


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt.

    Attributes:
        told: one line, without patient data.
        detail: the receiver's own words, in which it may quote patient data.
    """

    fate: Fate
    told: str
    detail: str = ""
