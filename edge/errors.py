"""The errors of microscope-edge, sorted by what the program does next.

    EdgeError              exit code 1
    |- ImageError          this image is rejected; the program goes on with the next one
    |- TransientError      try the same step again later
    |- ConfigError         2: wrong usage or configuration
    |- ModelError          3: the model to convert cannot be used
    |- BundleError         3: the bundle cannot be used
    |- AccuracyGateError   4: the converted model is not as good as its source
    |- BackendError        5: the machine lacks what was asked for
    |  |- DeviceError      5: a device failed during work; another device may succeed
    |  `- PlanError        5: an engine built earlier does not work; a newly built one may
    `- StorageError        6: a disk refuses to read or write

Exit code 7 is no error: edge-convert wrote a bundle without the INT8 that was asked for.

A message says what was found, what was needed and what to do, in one line.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final

# Exit code: the bundle was written; it runs in FP32 on CPUs although INT8 was asked for.
WITHOUT_INT8: Final = 7


def first_line(error: BaseException) -> str:
    """The first line of an error's message; the name of its type if there is no message."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


class EdgeError(Exception):
    """Any error that microscope-edge reports in one line."""

    exit_code: ClassVar[int] = 1


class RejectReason(StrEnum):
    """Why an image was rejected: the fixed list of codes in sidecars."""

    EMPTY = "empty"
    UNREADABLE = "unreadable"
    NOT_A_FILE = "not_a_file"
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    UNSUPPORTED_FORMAT = "unsupported_format"
    UNSUPPORTED_COLOUR = "unsupported_colour"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    RETRIES_EXHAUSTED = "retries_exhausted"


class ImageError(EdgeError):
    """The image cannot be labelled, now or later."""

    def __init__(self, reason: RejectReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TransientError(EdgeError):
    """The step may succeed when it is tried again."""


class ConfigError(EdgeError):
    """The configuration or the command line is wrong."""

    exit_code = 2


class ModelError(EdgeError):
    """The model handed to the converter is unusable."""

    exit_code = 3


class BundleError(EdgeError):
    """The bundle is unusable."""

    exit_code = 3


class AccuracyGateError(EdgeError):
    """The converted model is worse than the accuracy gate allows."""

    exit_code = 4


class BackendError(EdgeError):
    """The machine lacks what was asked for."""

    exit_code = 5


class DeviceError(BackendError):
    """A device that worked has failed; no image of the call has an outcome."""


class PlanError(BackendError):
    """An engine plan does not work although its record fits this machine; a new one may work."""


class StorageError(EdgeError):
    """A disk or share refuses to read or write."""

    exit_code = 6
