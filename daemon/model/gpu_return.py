"""The way back from the CPU to a GPU that works again.

A process whose CUDA context is broken can never use the GPU again, even if the GPU works. So a
child process tries the GPU first. If it works there but not here, the service ends, so that systemd
starts a new process.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from daemon.config.config import Config
from daemon.model.current_model import CurrentModel
from daemon.model.open_model import ENGINES_NAME, OpenModel
from daemon.system.clock import Clock
from edge.backends.onnx import BACKEND_NAME
from edge.bundle import Bundle
from edge.errors import BackendError, BundleError, EdgeError
from edge.system.children import with_this_parent

log = logging.getLogger(__name__)

# Time between two trials: after a passing failure the GPU works by then, and trials of a broken one
# stay rare.
RETURN_AFTER_S: Final = 600.0
# An engine may have to be built.
_TRIAL_LIMIT_S: Final = 900.0


class GpuReturn:
    """Tries the GPU every ten minutes while the CPU labels in its place."""

    def __init__(
        self,
        current_model: CurrentModel,
        open_: OpenModel,
        works_in_child: Callable[[Bundle], bool],
        end_with: Callable[[EdgeError], None],
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        self._current_model = current_model
        self._open = open_
        self._works_in_child = works_in_child
        self._end_with = end_with
        self._clock = clock
        self._trial: threading.Thread | None = None
        self._has_warned_of_replaced = False

    def check(self) -> None:
        """Begin a trial if one is due. Does not wait for it."""
        failure = self._current_model.gpu_failure
        if failure.since_s is None:
            return
        is_running = self._trial is not None and self._trial.is_alive()
        if self._clock() >= failure.tried_s + RETURN_AFTER_S and not is_running:
            failure.tried_s = self._clock()
            self._trial = threading.Thread(target=self.try_once, name="gpu-trial", daemon=True)
            self._trial.start()

    def try_once(self) -> None:
        """Try the GPU in a child, then here; if only the child succeeds, end the service."""
        bundle = self._current_model.model.bundle
        if not self._is_still_there(bundle):
            return
        if not self._works_in_child(bundle):
            log.info("the trial of the GPU failed; the CPU goes on labelling")
            return
        if self._current_model.is_closed:
            return  # the next service tries it
        try:
            model = self._open("auto", bundle)
        except (BackendError, BundleError) as error:
            log.info("the GPU works in a child process, but cannot be opened here: %s", error)
            return
        if model.session.backend == BACKEND_NAME:
            model.session.close()
            # Checked again: a new process would load whatever bundle the folder holds by then.
            if self._is_still_there(bundle):
                self._end_with(
                    BackendError("the GPU works again, but not in this process. Restart it.")
                )
            return
        self._current_model.replace(model)

    def _is_still_there(self, bundle: Bundle) -> bool:
        """Whether the folder still holds the bundle in use: the GPU's graphs are read from it."""
        is_there = bundle.is_still_there()
        if not is_there and not self._has_warned_of_replaced:
            log.warning(
                "the GPU is not tried: %s holds another bundle than the one in use. Reload the "
                "service to use it; until then the CPU labels with the earlier one",
                bundle.root,
            )
        self._has_warned_of_replaced = not is_there
        return is_there


def works_in_child(config: Config, bundle: Bundle) -> bool:
    """Whether a child process can label the bundle's golden images on the GPU."""
    command = [
        *(sys.executable, "-m", "edge.backends.probe", str(bundle.root)),
        *("--sha256", bundle.sha256),
        *("--cache", str(config.state_dir / ENGINES_NAME)),
        *(("--precision", config.precision) if config.precision else ()),
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=_TRIAL_LIMIT_S,
            check=False,
            env=with_this_parent(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
