"""Named points in the program at which a test can kill it, raise an error or delay it.

    EDGE_FAILPOINTS="file.before_rename=kill@3, journal.before_commit=EIO@1-5, image.read=sleep:2"

Each entry is `name=action[@passes]`. The action is `kill` (SIGKILL to this process), the name of
an errno (raises that OSError; only at points where the system can fail) or `sleep:seconds`. `@3`
means the third pass of the process through the point, `@1-5` the first five, `@4-` the fourth and
all later ones; without `@` it means every pass. Passes are counted over all threads of the process.

Without the variable, a point costs one comparison.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from edge.errors import ConfigError

VARIABLE: Final = "EDGE_FAILPOINTS"

# Those of the daemon, in the order in which an image passes them. tests/daemon/test_failpoints.py
# checks that the daemon passes each of them.
LABELLING: Final = {
    "startup.locked": "the state folder belongs to this process",
    "startup.log_key_written": "the first start has made the key of the log's pseudonyms",
    "startup.journal_opened": "the journal is open",
    "startup.model_opened": "the golden images gave their labels",
    "startup.leftovers_removed": "temporary files of a killed process are gone",
    "startup.claims_taken_back": "images that a killed process had claimed are waiting again",
    "startup.ready": "all parts are open, no image was looked at",
    "scan.chunk_taken": "the rescan has found files",
    "hint.taken": "the coordinator follows a hint of the watcher",
    "settle.settled": "a file was quiet for long enough",
    "record.before_commit": "images are recorded as waiting in an open transaction",
    "record.after_commit": "images are waiting, no worker was woken",
    "claim.before_commit": "images are recorded as claimed in an open transaction",
    "claim.after_commit": "images are claimed, none was opened",
    "image.open": "an image is about to be opened",
    "image.read": "an image is open, none of its bytes were read",
    "image.decode": "an image was read and is about to be decoded",
    "image.decoded": "an image has pixels",
    "image.preprocessed": "an image has the network's size",
    "infer.before": "a batch is about to be inferred",
    "infer.after": "a batch has its logits",
    "batch.labelled": "a batch has its verdicts, no sidecar was begun",
    "folder.before_make": "a folder of the results tree is about to be made",
    "folder.made": "a folder of the results tree is there, but not durable",
    "file.before_create": "a temporary file is about to be made",
    "file.created": "a temporary file is there and empty",
    "file.half_written": "a temporary file holds half of its bytes",
    "file.written": "a temporary file holds all of its bytes",
    "file.before_fsync": "a temporary file is about to be synchronised",
    "file.after_fsync": "a temporary file is durable under its temporary name",
    "file.before_rename": "a durable file is about to be renamed",
    "file.between_renames": "of several files one is visible: the CSV, not yet the JSON",
    "file.after_rename": "a file is visible, but its name is not durable",
    "file.before_folder_fsync": "all files of a batch are visible, no name is durable",
    "file.after_folder_fsync": "the names in one folder are durable",
    "batch.durable": "a batch's sidecars are durable, the journal does not know",
    "mark.before_commit": "a batch's outcomes are recorded in an open transaction",
    "mark.after_commit": "a batch's outcomes are in the journal",
    "journal.before_commit": "any writing or reading transaction is about to be committed",
    "journal.after_commit": "any transaction was committed",
    "shutdown.begun": "the service was told to stop, batches are in hand",
    "shutdown.ended": "all workers have ended, the journal is still open",
}
# Those of `edge-results send`, in the order in which a result passes them.
SENDING: Final = {
    "send.issued": "a result was issued, the outbox does not know it",
    "send.before_commit": "a change of the outbox is in an open transaction",
    "send.after_commit": "a change of the outbox was committed",
    "send.before_file": "a file is about to be put into a drop folder",
    "send.file_put": "a file is in the drop folder, the outbox does not know",
    "send.before_message": "the connection is open, no byte of the message was sent",
    "send.message_sent": "a message was sent, no answer was read",
    "send.answered": "a message was answered, the outbox does not know",
}
# Those of `edge-results review`.
REVIEWING: Final = {
    "review.before_commit": "an entry of the record is in an open transaction",
    "review.after_commit": "an entry is durable, nobody was told",
    "review.before_verification": "a signature is recorded, its verification file is not there",
    "review.verification_written": "the verification file is there, the record does not know",
}
KNOWN: Final = {**LABELLING, **SENDING, **REVIEWING}

# Points at system calls that can fail: only there does the code handle an OSError.
FALLIBLE: Final = frozenset(
    {
        *("image.open", "image.read", "folder.before_make", "folder.made"),
        *("file.before_create", "file.created", "file.half_written", "file.written"),
        *("file.before_fsync", "file.before_rename", "file.between_renames"),
        *("file.before_folder_fsync", "record.before_commit", "claim.before_commit"),
        *("mark.before_commit", "journal.before_commit"),
    }
)

_ENTRY: Final = re.compile(
    r"(?P<name>[\w.]+)=(?P<action>\w+)(:(?P<seconds>[\d.]+))?(@(?P<first>\d+)(?P<to>-(?P<last>\d*))?)?"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """The action at a point, and the passes, counted from 1, at which it happens."""

    action: str
    seconds: float = 0.0
    first: int = 1
    last: float = float("inf")

    def trigger(self) -> None:
        """Perform the action.

        Raises:
            OSError: the action is the name of an errno.
        """
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.action == "sleep":
            time.sleep(self.seconds)
        else:
            number: int = getattr(errno, self.action)
            raise OSError(number, os.strerror(number))


class _Armed:
    def __init__(self, text: str, faults: Mapping[str, Fault]) -> None:
        self.text = text
        self._faults = faults
        self._lock = threading.Lock()
        self.passes = dict.fromkeys(KNOWN, 0)

    def visit(self, name: str) -> None:
        with self._lock:
            self.passes[name] += 1
            number = self.passes[name]
        fault = self._faults.get(name)
        if fault and fault.first <= number <= fault.last:
            fault.trigger()


_armed: _Armed | None = None


def failpoint(name: str) -> None:
    """Mark the point `name` in the program; does nothing unless a test has armed it.

    Raises:
        OSError: the point is armed with the name of an errno.
    """
    if _armed is not None:
        _armed.visit(name)


def are_armed() -> bool:
    """Whether any point is armed in this process."""
    return _armed is not None


def passes() -> dict[str, int]:
    """How often each point was passed since points were armed; empty if none is armed."""
    return dict(_armed.passes) if _armed is not None else {}


def arm_failpoints(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Arm exactly the points that the variable names; returns the newly armed names.

    Raises:
        ConfigError: the variable names an unknown point, or an action that makes no sense there.
    """
    global _armed  # noqa: PLW0603 - the points are called from everywhere and must cost nothing
    text = environment.get(VARIABLE, "")
    if _armed is not None and _armed.text == text:
        # The service was restarted within this process: the counts of passes continue.
        return ()
    faults = dict(_parse(entry.strip()) for entry in text.split(",") if entry.strip())
    _armed = _Armed(text, faults) if faults else None
    return tuple(faults)


def _parse(entry: str) -> tuple[str, Fault]:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise ConfigError(
            f"{VARIABLE} has {entry!r}; needed is name=kill, name=EIO or name=sleep:SECONDS, each "
            "with @N, @N-M or @N- to select passes. Unset it outside of tests."
        )
    name, action = match["name"], match["action"]
    if name not in KNOWN:
        near = get_close_matches(name, KNOWN, 1)
        raise ConfigError(
            f"{VARIABLE} names {name!r}, which is no failpoint; the nearest is "
            f"{near[0] if near else 'none'}. Known are {', '.join(KNOWN)}."
        )
    _check_action(name, action, match["seconds"])
    first = int(match["first"] or 1)
    last = float("inf")
    if match["first"]:
        last = float(match["last"] or "inf") if match["to"] else first
    return name, Fault(action, float(match["seconds"] or 0.0), first, last)


def _check_action(name: str, action: str, seconds: str | None) -> None:
    if (action == "sleep") != (seconds is not None):
        raise ConfigError(f"{VARIABLE} has {action!r} at {name}; only sleep takes :SECONDS.")
    if action in ("kill", "sleep"):
        return
    if action not in errno.errorcode.values():
        raise ConfigError(
            f"{VARIABLE} has {action!r} at {name}; needed is kill, sleep or an errno."
        )
    if name not in FALLIBLE:
        raise ConfigError(
            f"{VARIABLE} has {action} at {name}, where the system cannot fail; use kill or sleep."
        )
