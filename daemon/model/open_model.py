"""Opens a bundle on a back end: verifies it, checks its golden images, times its inferences."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from daemon.config.config import NOTE, Config
from daemon.health.stages import INFER, Stages
from daemon.model.cpu_choice import CpuChoice
from edge.backends.cpu import has_vnni
from edge.backends.names import ONNXRUNTIME
from edge.backends.onnx import BACKEND_NAME
from edge.backends.opening import Opening
from edge.backends.select import may_use_gpu, open_session
from edge.bundle import Bundle, load_bundle
from edge.errors import BundleError
from edge.golden import open_labeller
from edge.labeller import Labeller
from edge.session import InferenceSession, Inferred
from edge.sidecar import ModelFacts, model_facts

# Folder in the state folder that keeps the engines built on this machine.
ENGINES_NAME: Final = "engines"


@dataclass(frozen=True, slots=True)
class Model:
    """An opened bundle whose files are verified and whose golden images got their labels.

    `image_s` is the time that a golden image took, in seconds, with decoding and preprocessing.
    """

    bundle: Bundle
    session: InferenceSession
    labeller: Labeller
    facts: ModelFacts
    image_s: float


# Opens a bundle on a back end; None: the configured bundle.
OpenModel = Callable[[str, Bundle | None], Model]


def open_model(
    config: Config,
    *,
    backend: str | None = None,
    bundle: Bundle | None = None,
    opening: Opening | None = None,
    stages: Stages | None = None,
) -> Model:
    """Open the configured model.

    If the configured back end is `auto` and the CPU has no model of the configured precision, the
    CPU uses the fastest one that it has: bundles hold `fp16` only for GPUs.

    Args:
        config: names the bundle, back end and precision.
        backend: used instead of the configured one.
        bundle: used instead of the configured one, whose folder may hold another by now.
        opening: callbacks for choices and progress, and whether built engines are kept; threads
            and folder come from `config`.
        stages: shows the supervisor when an inference runs.

    Raises:
        BundleError, BackendError: it cannot be used here.
    """
    bundle = bundle or load_bundle(config.bundle)
    backend = backend or config.backend
    # The CPU's models are read now: opening a GPU may take minutes, and the bundle's folder may be
    # replaced meanwhile.
    keeps = backend == "auto" and may_use_gpu(backend)
    held = bundle.load_into_memory(_cpu_models(bundle, config.precision)) if keeps else bundle
    cache = config.state_dir / ENGINES_NAME
    opening = replace(opening or Opening(), threads=config.threads, cache=cache)
    session = _open_session(held, config, backend, opening)
    if session.backend != BACKEND_NAME:
        bundle = held
    watched = _WatchedSession(session, stages or Stages())
    start = time.monotonic()
    keeps_label = config.unfamiliar == NOTE
    labeller = open_labeller(bundle, watched, config.limits, labels_unfamiliar=keeps_label)
    # Every golden image is labelled twice.
    image_s = (time.monotonic() - start) / max(2 * len(bundle.golden), 1)
    opening.on_choice(_text_on_unfamiliar(labeller, keeps_label=keeps_label))
    return Model(bundle, watched, labeller, model_facts(bundle, watched), image_s)


def _text_on_unfamiliar(labeller: Labeller, *, keeps_label: bool) -> str:
    if labeller.familiarity is None:
        return (
            "images that are not like the laboratory's are not noticed: the bundle has no "
            "reference of it"
        )
    what = "keep their label, with a note" if keeps_label else "are unidentified"
    return f"images that are not like the laboratory's {what}"


def model_opener(config: Config, stages: Stages, opening: Opening) -> OpenModel:
    """`open_model` with all arguments set but the back end and the bundle."""

    def open_(backend: str, bundle: Bundle | None) -> Model:
        return open_model(config, backend=backend, bundle=bundle, opening=opening, stages=stages)

    return open_


def _open_session(
    bundle: Bundle, config: Config, backend: str, opening: Opening
) -> InferenceSession:
    precision = config.precision
    if precision is None and not may_use_gpu(backend):
        return _open_fastest(bundle, config, backend, opening)
    try:
        return open_session(bundle, backend=backend, precision=precision, opening=opening)
    except BundleError:
        may_stand_in = config.backend == "auto" and backend in ("auto", ONNXRUNTIME)
        if precision is None or not may_stand_in or _cpu_has(bundle, precision):
            raise
    opening.on_choice(
        f"{bundle.root.name} holds no {precision} model for the CPU; the fastest one is used"
    )
    return open_session(bundle, backend=ONNXRUNTIME, opening=opening)


def _open_fastest(
    bundle: Bundle, config: Config, backend: str, opening: Opening
) -> InferenceSession:
    """The CPU's fastest precision; not timed again where it is known."""
    choice = CpuChoice(config.state_dir, bundle, config.threads)
    if known := choice.read():
        with suppress(BundleError):
            session = open_session(bundle, backend=backend, precision=known, opening=opening)
            opening.on_choice(f"{known} was the fastest here when it was last measured")
            return session
    session = open_session(bundle, backend=backend, opening=opening)
    if opening.keeps_plans:
        choice.write(session.precision)
    return session


def _cpu_has(bundle: Bundle, precision: str) -> bool:
    return bool(_models_of(bundle, [precision]))


def _cpu_models(bundle: Bundle, precision: str | None) -> list[str]:
    """The files that the CPU would need to take over from a GPU."""
    if precision is not None and _cpu_has(bundle, precision):
        return _models_of(bundle, [precision])
    return _models_of(bundle, bundle.precisions(ONNXRUNTIME))


def _models_of(bundle: Bundle, precisions: Iterable[str]) -> list[str]:
    found = []
    for precision in precisions:
        # The bundle may have no graph of this precision for this processor.
        with suppress(BundleError):
            found.append(bundle.model(ONNXRUNTIME, precision, has_vnni=has_vnni()).path)
    return found


class _WatchedSession:
    """A session that notes in `stages` when an inference runs, for the supervisor."""

    def __init__(self, session: InferenceSession, stages: Stages) -> None:
        self.backend, self.precision = session.backend, session.precision
        self.graph = session.graph
        self.max_batch = session.max_batch
        self._session = session
        self._stages = stages

    def infer(self, images: NDArray[np.uint8]) -> Inferred:
        """Logits and features of uint8 images (batch, height, width, 3)."""
        with self._stages.stage(INFER):
            return self._session.infer(images)

    def close(self) -> None:
        """Free the device."""
        self._session.close()
