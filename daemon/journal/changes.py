"""Decides what to do with a file that was seen, from its newest row in the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from daemon.image.records import UNFINISHED, ImageVersion
from daemon.journal import rows as take
from edge.status import Status

STATES: Final = frozenset({"waiting", "claimed", "done", "gone", "superseded"})
STATUSES: Final = frozenset(map(str, Status))

# An image that was rejected as incomplete is looked at again after 1, 4, 13, 40 minutes, 2, 6, 18
# and 42 hours: a stalled copy goes on within minutes, or a person repeats it within a day.
LOOKS: Final = 8
_FIRST_LOOK_S: Final = 60.0
_GROWTH: Final = 3
LONGEST_S: Final = 86_400.0


class Step(Enum):
    """What to do with a file that was seen."""

    NOTHING = auto()
    # Store the file's times in its row.
    NOTE_TIMES = auto()
    # Set the row to waiting, so that a worker compares the file with the row's outcome.
    COMPARE = auto()
    # Insert a new row.
    RECORD = auto()


@dataclass(frozen=True, slots=True)
class Known:
    """The newest row of a path."""

    id: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int | None
    state: str
    status: str | None
    reason: str | None
    sha256: str | None
    doubted_until: float | None

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Known:
        """From the columns of `sql.KNOWN` after the path."""
        return cls(
            take.integer(row[0]),
            take.integer(row[1]),
            take.any_integer(row[2]),
            None if row[3] is None else take.any_integer(row[3]),
            take.one_of(row[4], STATES),
            take.optional_text(row[5]),
            take.optional_text(row[6]),
            take.optional_text(row[7]),
            take.optional_real(row[8]),
        )


def next_step(known: Known | None, seen: ImageVersion, now_s: float, *, is_written: bool) -> Step:
    """What to do with a file that was seen.

    Args:
        known: the newest row of its path; None: there is none.
        seen: the file as it is now.
        now_s: seconds since 1970.
        is_written: whether a hint says that the file was just written.
    """
    if known is None or known.state in ("gone", "superseded"):
        return Step.RECORD
    if known.size_bytes != seen.size_bytes:
        return Step.RECORD
    is_same_mtime = known.mtime_ns == seen.mtime_ns
    if is_same_mtime and seen.ctime_ns in (known.ctime_ns, None):
        is_open = is_written and known.state == "done" and known.reason in UNFINISHED
        return Step.COMPARE if is_open else Step.NOTHING
    match known.state:
        case "claimed":
            # The worker itself notices a new mtime; a new ctime is seen again after the claim.
            return Step.NOTHING if is_same_mtime else Step.RECORD
        case "waiting":
            return Step.NOTE_TIMES if is_same_mtime or known.status else Step.RECORD
    return _step_of_done(known, now_s, is_same_mtime=is_same_mtime, is_written=is_written)


def _step_of_done(known: Known, now_s: float, *, is_same_mtime: bool, is_written: bool) -> Step:
    """What to do with an image that has an outcome and whose times changed but not its size."""
    if is_same_mtime and known.ctime_ns is None:
        return Step.NOTE_TIMES
    if not is_same_mtime and known.sha256 is None:
        # Without a hash of the old bytes there is nothing to compare with.
        return Step.RECORD
    is_doubted = not is_written and _is_doubted(known.doubted_until, now_s)
    return Step.NOTHING if is_doubted else Step.COMPARE


def next_look_at(reason: str | None, looks: int, now_s: float) -> float | None:
    """When to look again at a rejected image, after so many looks; None: never."""
    return now_s + _wait_s(looks) if reason in UNFINISHED and looks < LOOKS else None


def doubted_until(false_alarms: int, now_s: float) -> float | None:
    """Until when changed times of a file are ignored, after so many that were false alarms.

    Some shares give another ctime at each look; their files must not be read each time.
    """
    return now_s + _wait_s(false_alarms - 1) if false_alarms else None


def _is_doubted(until_s: float | None, now_s: float) -> bool:
    # A time far ahead was stored before the clock was set back, and is ignored.
    return until_s is not None and now_s < until_s <= now_s + LONGEST_S


def _wait_s(steps: int) -> float:
    return float(min(_FIRST_LOOK_S * _GROWTH ** min(steps, LOOKS), LONGEST_S))
