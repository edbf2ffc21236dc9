"""The one place where a failure to make a target's graph is caught and becomes a line."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from edge.command.run import place_of
from edge.errors import ConfigError, EdgeError, ModelError, StorageError

Made = TypeVar("Made")

_LONGEST_REASON: Final = 300
# The person's, the model's and the disk's faults are every target's.
_OF_ALL: Final = (ConfigError, ModelError, StorageError)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a graph could not be made. `trace` is for `--debug`."""

    reason: str
    trace: str


def attempt(make: Callable[[], Made]) -> Made | Failure:
    """What `make` gives, or why it could not.

    onnx, ONNX Runtime, protobuf and numpy raise dozens of types without a common base for a graph
    that they cannot convert or run. A fault in this program costs its target alone too; it is told
    with its type and place, and `--debug` shows it whole.

    Raises:
        ConfigError, ModelError, StorageError: what costs every target.
    """
    try:
        return make()
    except _OF_ALL:
        raise
    except Exception as error:  # noqa: BLE001 - see above: what is caught is reported, not hidden
        return Failure(_reason(error), "".join(traceback.format_exception(error)))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:_LONGEST_REASON]
    if isinstance(error, EdgeError):
        return text
    return f"{type(error).__name__} at {place_of(error)}{': ' if text else ''}{text}"
