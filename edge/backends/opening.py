"""How a session is opened: settings and callbacks, for programs that open it later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.text.progress import OnProgress


def _log_nothing(_text: str) -> None:
    pass


def _do_nothing() -> None:
    pass


def _show_nothing(_step: str, _done: int, _total: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Opening:
    """How sessions are opened.

    Attributes:
        threads: threads inside one inference on the CPU.
        cache: folder of the plans built on this machine; None for the user's cache folder.
        keeps_plans: whether a plan that is built now is stored there.
        on_choice: called with a sentence about what was chosen or skipped, and why.
        on_progress: called with (step, done, total) while an engine is built.
        on_gpu: called before a GPU is opened, if a library and a driver for it are present.
    """

    threads: int = 1
    cache: Path | None = None
    keeps_plans: bool = True
    on_choice: Callable[[str], None] = _log_nothing
    on_progress: OnProgress = _show_nothing
    on_gpu: Callable[[], None] = _do_nothing
