"""The model that labels now: on the GPU where there is one, on the CPU when it fails, and back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from daemon.config import Config
from daemon.liveness import Pulse
from daemon.settle import Clock
from edge.backends.base import InferenceSession
from edge.backends.cpu import has_vnni
from edge.backends.onnx import BACKEND_NAME
from edge.backends.select import ONNXRUNTIME, Opening, open_session
from edge.bundle import Bundle, load_bundle
from edge.errors import BackendError, BundleError, DeviceError, EdgeError, TransientError
from edge.golden import open_labeller
from edge.labeller import Labeller, Outcome
from edge.sidecar import ModelFacts, model_facts

log = logging.getLogger(__name__)

# Folder in the state folder that keeps the engines built on this machine.
ENGINES_NAME: Final = "engines"
INFER: Final = "infer"


@dataclass(slots=True)
class GpuFailure:
    """A GPU that the CPU stands in for. Outlives a service, so that the next one knows of it.

    Attributes:
        since_s: monotonic time at which the GPU failed; None where none did.
        tried_s: monotonic time at which it failed or was tried last.
    """

    since_s: float | None = None
    tried_s: float = 0.0

    def note(self, now_s: float) -> None:
        """The GPU has failed."""
        self.since_s = self.tried_s = now_s


@dataclass(frozen=True, slots=True)
class Model:
    """A verified bundle, opened, whose golden images gave their labels.

    `image_s` is how long a golden image took, decoding and preprocessing included.
    """

    bundle: Bundle
    session: InferenceSession
    labeller: Labeller
    facts: ModelFacts
    image_s: float


# Opens a bundle on a back end; where the bundle is None, the configured one.
OpenModel = Callable[[str, Bundle | None], Model]


def open_model(
    config: Config,
    *,
    backend: str | None = None,
    bundle: Bundle | None = None,
    opening: Opening | None = None,
    pulse: Pulse | None = None,
) -> Model:
    """Open the configured model.

    Where the configured back end is `auto` and the CPU has no model of the configured precision,
    the CPU takes the fastest one that it has: bundles hold `fp16` only for GPUs.

    Args:
        backend: in place of the configuration's.
        bundle: that labels already, in place of what the configured folder holds by now.
        opening: who is told of choices and progress, and whether engines that are built are kept;
            threads and folder are the configuration's.
        pulse: told while an inference runs.

    Raises:
        BundleError, BackendError: it cannot be used here.
    """
    bundle = bundle or load_bundle(config.bundle)
    backend = backend or config.backend
    # Read before a GPU is opened, which may have an engine to build: minutes.
    keeps = backend == "auto"
    held = bundle.keeping(_cpu_models(bundle, config.precision)) if keeps else bundle
    cache = config.state_dir / ENGINES_NAME
    opening = replace(opening or Opening(), threads=config.threads, cache=cache)
    session = _open_session(held, config, backend, opening)
    if session.backend != BACKEND_NAME:
        bundle = held
    watched = _WatchedSession(session, pulse or Pulse())
    start = time.monotonic()
    labeller = open_labeller(bundle, watched, config.limits)
    # Every golden image is labelled twice.
    image_s = (time.monotonic() - start) / max(2 * len(bundle.golden), 1)
    return Model(bundle, watched, labeller, model_facts(bundle, watched), image_s)


def _open_session(
    bundle: Bundle, config: Config, backend: str, opening: Opening
) -> InferenceSession:
    precision = config.precision
    try:
        return open_session(bundle, backend=backend, precision=precision, opening=opening)
    except BundleError:
        may_stand_in = config.backend == "auto" and backend in ("auto", ONNXRUNTIME)
        if precision is None or not may_stand_in or _cpu_has(bundle, precision):
            raise
    opening.on_choice(
        f"{bundle.root.name} holds no {precision} model for the CPU; it takes its fastest one"
    )
    return open_session(bundle, backend=ONNXRUNTIME, opening=opening)


def _cpu_has(bundle: Bundle, precision: str) -> bool:
    return bool(_models_of(bundle, [precision]))


def _cpu_models(bundle: Bundle, precision: str | None) -> list[str]:
    """The files that the CPU would need to take a GPU's place."""
    if precision is not None and _cpu_has(bundle, precision):
        return _models_of(bundle, [precision])
    return _models_of(bundle, bundle.precisions(ONNXRUNTIME))


def _models_of(bundle: Bundle, precisions: Iterable[str]) -> list[str]:
    found = []
    for precision in precisions:
        # A processor may have no graph of a precision.
        with suppress(BundleError):
            found.append(bundle.model(ONNXRUNTIME, precision, has_vnni=has_vnni()).path)
    return found


class _WatchedSession:
    """A session whose inferences the supervisor sees."""

    def __init__(self, session: InferenceSession, pulse: Pulse) -> None:
        self.backend, self.precision = session.backend, session.precision
        self.graph = session.graph
        self.max_batch = session.max_batch
        self._session = session
        self._pulse = pulse

    def infer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits (batch, classes) of uint8 images (batch, height, width, 3)."""
        with self._pulse.stage(INFER):
            return self._session.infer(images)

    def close(self) -> None:
        """Free the device."""
        self._session.close()


class ModelSeat:
    """Holds the model for all workers and replaces it under them. Safe to use from any thread."""

    def __init__(
        self,
        model: Model,
        open_: OpenModel,
        *,
        may_fail_over: bool,
        gpu_failure: GpuFailure | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """Seat a model.

        Args:
            model: the model to begin with.
            open_: opens a model on a back end.
            may_fail_over: whether the CPU may take over when the device fails.
            gpu_failure: says whether `model` stands in for a GPU that failed before.
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
        """Since when the CPU stands in for a GPU; None where it does not."""
        return self.gpu_failure.since_s

    @property
    def is_closed(self) -> bool:
        """Whether the service of this seat is over."""
        return self._is_closed

    @property
    def model(self) -> Model:
        """The model that labels now."""
        return self._model

    @property
    def is_on_gpu(self) -> bool:
        """Whether a device labels that can fail by itself."""
        return self._model.session.backend != BACKEND_NAME

    def label_batch(self, paths: list[Path]) -> tuple[list[Outcome | TransientError], ModelFacts]:
        """As `Labeller.label_batch`, and which model it was.

        Raises:
            BackendError: the device failed and nothing may take its place.
        """
        while True:
            model = self._model
            try:
                return model.labeller.label_batch(paths), model.facts
            except DeviceError as error:
                self.fail_over(model, error)
            except BackendError:
                # Another thread may have seated another model and closed this one.
                if self._model is model:
                    raise

    def fail_over(self, failed: Model, error: BackendError) -> None:
        """Seat the model on the CPU in place of `failed`; another worker may have done so.

        Raises:
            BackendError: `error`, where there is no other device, or it cannot take over.
        """
        with self._lock:
            if self._model is not failed:
                return
            if self._is_closed or not (self._may_fail_over and self.is_on_gpu):
                raise error
            try:
                # The bundle that labels, whatever its folder holds by now: it was not reloaded.
                stand_in = self._open(ONNXRUNTIME, failed.bundle)
            except EdgeError as reason:
                text = f"{error} The CPU cannot take its place: {reason}"
                raise BackendError(text) from error
            self._model = stand_in
            self.gpu_failure.note(self._clock())
        log.error("%s", error)
        log.error("%s failed; labelling goes on with the CPU", failed.session.backend)
        _close(failed)

    def replace(self, model: Model) -> None:
        """Seat a model whose device works again; close it where the service is over."""
        with self._lock:
            is_late = self._is_closed
            before = self._model
            if not is_late:
                self._model = model
                self.gpu_failure.since_s = None
        if is_late:
            _close(model)
            return
        log.warning("labelling on %s again", model.session.backend)
        _close(before)

    def close(self) -> None:
        """Free the device."""
        with self._lock:
            self._is_closed = True
        _close(self._model)


def _close(model: Model) -> None:
    try:
        model.session.close()
    except BackendError as error:
        # The device that failed may refuse this too.
        log.debug("%s", error)
