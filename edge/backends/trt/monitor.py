"""Passes on the progress that TensorRT reports while it builds an engine."""

from __future__ import annotations

from typing import Any

from edge.backends.trt.library import Library
from edge.text.progress import OnProgress


def build_monitor(library: Library, step: str, on_progress: OnProgress) -> Any:
    """A progress monitor for the library; None for TensorRT 8, which has no such interface."""
    base = getattr(library.module, "IProgressMonitor", None)
    if base is None:
        on_progress(step, 0, 1)
        return None

    class Monitor(base):  # type: ignore[misc,valid-type]
        # Defined here because its base class is known only once the library is imported. Only the
        # outermost phases are reported: their steps cover the whole build.
        def __init__(self) -> None:
            super().__init__()
            self.interrupted = False
            self._outermost: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            if parent is None:
                self._outermost[phase] = steps

        def step_complete(self, phase: str, done: int) -> bool:
            if phase in self._outermost:
                try:
                    on_progress(step, min(done + 1, self._outermost[phase]), self._outermost[phase])
                except KeyboardInterrupt:
                    # Exceptions must not pass through native code; False ends the build instead.
                    self.interrupted = True
            return not self.interrupted

        def phase_finish(self, phase: str) -> None:
            self._outermost.pop(phase, None)

    return Monitor()
