"""What is no usable sidecar, or does not agree with its image."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from edge.text.printable import printable

log = logging.getLogger(__name__)


class ProblemCode(StrEnum):
    """What is wrong: the fixed list of codes."""

    # Of a sidecar.
    FOLDER = "folder_unreadable"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    OTHER_SCHEMA = "other_schema"
    MISSING_FIELD = "missing_field"
    WRONG_VALUE = "wrong_value"
    CONTRADICTION = "contradiction"
    OTHER_NAME = "other_name"
    # Between a sidecar and what lies beside it.
    FOREIGN = "foreign"
    NO_SIDECAR = "no_sidecar"
    IMAGE_GONE = "image_gone"
    IMAGE_CHANGED = "image_changed"
    IMAGE_UNREADABLE = "image_unreadable"
    DOUBLED = "doubled"
    CSV_DIFFERS = "csv_differs"
    CSV_ALONE = "csv_alone"


@dataclass(frozen=True, slots=True)
class Problem:
    """One file that is held, and why; `text` has no value of a sidecar in it."""

    path: Path
    code: ProblemCode
    text: str

    @property
    def line(self) -> str:
        """One printable line. The path may contain a sample id."""
        return printable(f"{self.path}: {self.text}")


OnProblem: TypeAlias = Callable[[Problem], None]


def log_problem(problem: Problem) -> None:
    """Log it as a warning."""
    log.warning("%s", problem.line)


class SidecarError(Exception):
    """A file is no usable sidecar; the message says why."""

    def __init__(self, code: ProblemCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class ForeignError(Exception):
    """A JSON file is no sidecar of this product."""
