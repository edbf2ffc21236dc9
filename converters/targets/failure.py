"""Catches exceptions while a target's graph is made, and turns them into a reason in words."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from edge.command.run import place_of
from edge.errors import ConfigError, EdgeError, ModelError, StorageError

Made = TypeVar("Made")

_LONGEST_REASON: Final = 300
# Errors that concern all targets: of the user, of the model and of the disk.
_OF_ALL: Final = (ConfigError, ModelError, StorageError)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a graph could not be made. `trace` is for `--debug`."""

    reason: str
    trace: str


def result_or_failure(make: Callable[[], Made]) -> Made | Failure:
    """The result of `make`, or a Failure if it raises.

    For a graph that they cannot convert or run, onnx, ONNX Runtime, protobuf and numpy raise dozens
    of types without a common base class. A bug in this program also affects only one target; its
    type and place are reported, and `--debug` shows the traceback.

    Raises:
        ConfigError, ModelError, StorageError: errors that concern all targets.
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
