"""The current model: on the GPU if there is one, on the CPU after it failed, later back again."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from pathlib import Path

from daemon.config.config import Config
from daemon.health.stages import Stages
from daemon.model.gpu_failure import GpuFailure, gpu_marker_while_opening, take_gpu_marker
from daemon.model.open_model import Model, OpenModel, model_opener
from daemon.system.clock import Clock
from edge.backends.names import ONNXRUNTIME
from edge.backends.onnx import BACKEND_NAME
from edge.backends.opening import Opening
from edge.errors import BackendError, DeviceError, EdgeError, TransientError
from edge.labeller import Outcome
from edge.sidecar import ModelFacts

log = logging.getLogger(__name__)


class CurrentModel:
    """Holds the model that all workers use, and replaces it. Safe to use from any thread."""

    def __init__(
        self,
        model: Model,
        open_: OpenModel,
        *,
        may_fail_over: bool,
        gpu_failure: GpuFailure | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """Begin with a model.

        Args:
            model: the opened model.
            open_: opens a model on a back end.
            may_fail_over: whether the CPU may take over when the GPU fails.
            gpu_failure: whether the GPU failed before, so that `model` runs on the CPU.
            clock: monotonic seconds.
        """
        self._model = model
        self._open = open_
        self._may_fail_over = may_fail_over
        self._clock = clock
        self._lock = threading.Lock()
        self.gpu_failure = gpu_failure or GpuFailure()
        self._is_closed = False

    @property
    def failed_over_since_s(self) -> float | None:
        """Monotonic time since which the CPU labels in place of a failed GPU; None: it does not."""
        return self.gpu_failure.since_s

    @property
    def is_closed(self) -> bool:
        """Whether the service has ended."""
        return self._is_closed

    @property
    def model(self) -> Model:
        """The model that labels now."""
        return self._model

    @property
    def is_on_gpu(self) -> bool:
        """Whether the back end is other than ONNX Runtime on the CPU."""
        return self._model.session.backend != BACKEND_NAME

    def label_batch(self, paths: list[Path]) -> tuple[list[Outcome | TransientError], ModelFacts]:
        """As `Labeller.label_batch`, with the facts of the model that labelled.

        Raises:
            BackendError: the device failed, and the CPU may not or cannot take over.
        """
        while True:
            model = self._model
            try:
                return model.labeller.label_batch(paths), model.facts
            except DeviceError as error:
                self.fail_over(model, error)
            except BackendError:
                # Another thread may have replaced the model and closed this one: then try again.
                if self._model is model:
                    raise

    def fail_over(self, failed: Model, error: BackendError) -> None:
        """Replace `failed` by the model on the CPU, unless another thread has done so.

        Raises:
            BackendError: the CPU may not take over (then `error` itself), or cannot.
        """
        with self._lock:
            if self._model is not failed:
                return
            if self._is_closed or not (self._may_fail_over and self.is_on_gpu):
                raise error
            try:
                # The bundle in use, as its folder may hold another one that was not loaded yet.
                stand_in = self._open(ONNXRUNTIME, failed.bundle)
            except EdgeError as reason:
                text = f"{error} The CPU cannot take over: {reason}"
                raise BackendError(text) from error
            self._model = stand_in
            self.gpu_failure.note(self._clock())
        log.error("%s", error)
        log.error("%s failed; the CPU labels from now on", failed.session.backend)
        _close(failed)

    def replace(self, model: Model) -> None:
        """Use a model whose device works again; close it if the service has ended."""
        with self._lock:
            is_late = self._is_closed
            before = self._model
            if not is_late:
                self._model = model
                self.gpu_failure.since_s = None
        if is_late:
            _close(model)
            return
        log.warning("the GPU works again; labelling on %s", model.session.backend)
        _close(before)

    def close(self) -> None:
        """Free the device."""
        with self._lock:
            self._is_closed = True
        _close(self._model)


def open_current_model(
    config: Config, stages: Stages, opening: Opening, gpu_failure: GpuFailure | None = None
) -> CurrentModel:
    """Open the configured model; on the CPU if the GPU failed in the last process or service.

    Args:
        config: the configuration.
        stages: shows the supervisor when an inference runs.
        opening: callbacks for choices and progress.
        gpu_failure: from the previous service of this process. A failure in the previous process
            is read from the state folder.

    Raises:
        BundleError, BackendError: it cannot be used here.
    """
    open_ = model_opener(config, stages, opening)
    failure = gpu_failure or GpuFailure()
    is_auto = config.backend == "auto"
    if not is_auto:
        failure.since_s = None
    elif reason := take_gpu_marker(config.state_dir):
        log.warning("the GPU failed before this start (%s); the CPU labels until a trial", reason)
        failure.note(time.monotonic())
    if failure.since_s is not None:
        model = open_(ONNXRUNTIME, None)
    elif is_auto:
        with gpu_marker_while_opening(config.state_dir) as write_marker:
            marked = replace(opening, on_gpu=write_marker)
            model = model_opener(config, stages, marked)(config.backend, None)
    else:
        model = open_(config.backend, None)
    return CurrentModel(model, open_, may_fail_over=is_auto, gpu_failure=failure)


def _close(model: Model) -> None:
    try:
        model.session.close()
    except BackendError as error:
        # On a device that has failed, closing may fail too.
        log.debug("closing the model on %s: %s", model.session.backend, error)
