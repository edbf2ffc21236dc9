"""What reason codes and causes mean, and what people can do about them; for `status`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from daemon.image.reading_errors import IN_USE, SHARE
from edge.errors import RejectReason

MEANINGS: Final = {
    RejectReason.EMPTY: "the file has no bytes",
    RejectReason.UNREADABLE: "the daemon's user may not read the file",
    RejectReason.NOT_A_FILE: "a link, pipe or device, not a file",
    RejectReason.TOO_LARGE: "more bytes than limits.max_bytes",
    RejectReason.TOO_MANY_PIXELS: "more pixels than limits.max_pixels",
    RejectReason.TOO_SMALL: "too few pixels for a cell",
    RejectReason.UNSUPPORTED_FORMAT: "no readable JPEG or PNG",
    RejectReason.UNSUPPORTED_COLOUR: "not 8-bit colour",
    RejectReason.TRUNCATED: "the end of the file is missing",
    RejectReason.CORRUPT: "the file cannot be decoded",
    RejectReason.RETRIES_EXHAUSTED: "failed in every attempt",
}
_REMEDIES: Final = {
    RejectReason.UNREADABLE: "Give the daemon's user the permission. Then:",
    RejectReason.TOO_LARGE: "Raise limits.max_bytes if these are cells. Then:",
    RejectReason.TOO_MANY_PIXELS: "Raise limits.max_pixels if these are cells. Then:",
    RejectReason.RETRIES_EXHAUSTED: "Read the log. When the cause is gone:",
}
_EXPORT_AGAIN: Final = frozenset({RejectReason.EMPTY, RejectReason.TRUNCATED, RejectReason.CORRUPT})
_START: Final = "systemctl start {unit}"
_LOG: Final = "journalctl -u {unit} -n 50"
# `{config}` is the configuration's path, `{unit}` the unit that reads it.
_ONCE: Final = "edge-daemon once --config {config}"
_RETRY: Final = "edge-daemon retry --config {config}"
# By the beginning of the cause in the journal's row of a postponed image.
_HELD_UP: Final = {
    "sidecar: ": "Results cannot be written: check space, permissions and the results share.",
    "sidecar name: ": (
        "The names of some sidecars are taken by other files, which are never replaced, or are "
        "refused: move those files, or set results.folder. The images are then labelled."
    ),
    "folder is away": "Mount the watch folder; its images are then labelled.",
    str(RejectReason.UNREADABLE): (
        "Give the daemon's user the permission to read these images; they are then labelled."
    ),
    IN_USE: (
        "Programs such as virus scanners, viewers and backups hold these images; they are labelled "
        "when they are released."
    ),
    SHARE: (
        "The share gives errors for these images: check the server and the network; they are "
        "labelled when it works again."
    ),
}


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do, and the command for it, with the placeholders `{config}` and `{unit}`."""

    text: str
    command: str | None = None


LOOK_AT_IMAGES: Final = NextStep(
    "Look at new images beside older ones; check lamp, focus, stain, white balance and instrument. "
    "What the last weeks were like:",
    "edge-daemon drift --config {config}",
)


def meaning(code: str) -> str:
    """A reason code in words; the code itself if this version does not know it."""
    return next((text for reason, text in MEANINGS.items() if reason == code), code)


def next_steps(
    rejected: dict[str, int],
    held_up: dict[str, int],
    *,
    is_running: bool,
    has_problem: bool,
    is_installed: bool = True,
) -> list[NextStep]:
    """What to do next, the most urgent first; empty if nothing is wrong.

    Args:
        rejected: counts by reason code.
        held_up: counts of waiting images by cause.
        is_running: whether the daemon runs.
        has_problem: whether the health names a problem.
        is_installed: whether a unit reads the configuration.
    """
    todo = [] if is_running else _start(is_installed=is_installed)
    if has_problem:
        text = "Read in the log what is wrong"
        todo.append(NextStep(f"{text}:", _LOG) if is_installed else NextStep(f"{text}."))
    todo += [
        NextStep(text)
        for start, text in _HELD_UP.items()
        if any(cause.startswith(start) for cause in held_up)
    ]
    todo += [
        NextStep(text, f"{_RETRY} --reason {reason}")
        for reason, text in _REMEDIES.items()
        if rejected.get(str(reason))
    ]
    if any(rejected.get(str(reason)) for reason in _EXPORT_AGAIN):
        todo.append(
            NextStep("Export broken images again from the analyzer; they are then labelled.")
        )
    return todo


def _start(*, is_installed: bool) -> list[NextStep]:
    if is_installed:
        return [
            NextStep("No images are labelled now. Start the daemon:", _START),
            NextStep("If it was started and has ended, the log says why:", _LOG),
        ]
    text = "No daemon runs or is installed for this configuration. To label the images there:"
    return [NextStep(text, _ONCE)]
