"""The progress of an engine's build, as TensorRT tells it."""

from __future__ import annotations

from typing import Any

from edge.backends.trt.library import Library
from edge.text.progress import OnProgress


def build_monitor(library: Library, step: str, on_progress: OnProgress) -> Any:
    """A progress monitor of the library's own kind, None in TensorRT 8, which has none."""
    base = getattr(library.module, "IProgressMonitor", None)
    if base is None:
        on_progress(step, 0, 1)
        return None

    class Monitor(base):  # type: ignore[misc,valid-type]
        # The library's own base class is only known here. Its outermost phase tells the most.
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
                    # No exception may cross the library; it ends the build where told to.
                    self.interrupted = True
            return not self.interrupted

        def phase_finish(self, phase: str) -> None:
            self._outermost.pop(phase, None)

    return Monitor()
