"""Back from the CPU to a GPU that works again.

A process whose CUDA context is broken cannot use the GPU any more, however healthy it is. So a
child process tries it first, and where this process cannot follow it is started anew.
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

# A GPU that failed for a moment is back by then, and one that is broken costs a try in so long.
RETURN_AFTER_S: Final = 600.0
# An engine may have to be built.
_TRIAL_LIMIT_S: Final = 900.0


class GpuReturn:
    """Tries the GPU now and then while the CPU stands in for it."""

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
        """Begin a trial where one is due. Does not wait for it."""
        failure = self._current_model.gpu_failure
        if failure.since_s is None:
            return
        is_running = self._trial is not None and self._trial.is_alive()
        if self._clock() >= failure.tried_s + RETURN_AFTER_S and not is_running:
            failure.tried_s = self._clock()
            self._trial = threading.Thread(target=self.try_once, name="gpu-trial", daemon=True)
            self._trial.start()

    def try_once(self) -> None:
        """Try the GPU in a child, then here; where only the child succeeds, end the service."""
        bundle = self._current_model.model.bundle
        if not self._is_still_there(bundle):
            return
        if not self._works_in_child(bundle):
            log.info("the GPU does not work yet; the CPU goes on")
            return
        if self._current_model.is_closed:
            return  # the next service tries it
        try:
            model = self._open("auto", bundle)
        except (BackendError, BundleError) as error:
            log.info("%s", error)
            return
        if model.session.backend == BACKEND_NAME:
            model.session.close()
            # The next process would find no other bundle than the one in the folder.
            if self._is_still_there(bundle):
                self._end_with(
                    BackendError("the GPU works again, but not in this process. Start it again.")
                )
            return
        self._current_model.replace(model)

    def _is_still_there(self, bundle: Bundle) -> bool:
        """Whether the folder holds what labels: the GPU's graphs are not kept in memory."""
        is_there = bundle.is_still_there()
        if not is_there and not self._has_warned_of_replaced:
            log.warning(
                "the GPU is not tried: %s is not the bundle that labels any more. Reload the "
                "service to take it; until then the CPU goes on with the one before",
                bundle.root,
            )
        self._has_warned_of_replaced = not is_there
        return is_there


def works_in_child(config: Config, bundle: Bundle) -> bool:
    """Whether a process of its own can label the bundle's golden images on the GPU."""
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
