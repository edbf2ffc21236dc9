"""Chooses the back end that runs a bundle on this machine, and reports why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from edge.backends.cpu import has_vnni
from edge.backends.interleave import Latencies, interleave
from edge.backends.names import BACKENDS, ONNXRUNTIME
from edge.backends.onnx import open_onnx
from edge.backends.opening import Opening
from edge.backends.trt.gpu import has_driver
from edge.backends.trt.library import LIBRARIES
from edge.backends.trt.plan_cache import PlanCache, default_folder
from edge.backends.trt.select import open_precisions
from edge.bundle import Bundle
from edge.errors import BackendError, BundleError
from edge.session import InferenceSession

# Another precision replaces the default if it takes less than this share of the default's time;
# the margin is for noise.
CLEARLY_FASTER: Final = 0.9
TIMING_ROUNDS: Final = 4


def open_session(
    bundle: Bundle,
    *,
    backend: str = "auto",
    precision: str | None = None,
    opening: Opening | None = None,
) -> InferenceSession:
    """Open a bundle's model.

    Args:
        backend: one of `BACKENDS`; `auto` takes TensorRT if both this machine and the bundle
            support it, else ONNX Runtime on the CPU.
        precision: `int8`, `fp16` or `fp32`; None for the fastest one on this machine.

    Raises:
        BackendError: this machine lacks what was asked for.
        BundleError: the bundle holds no such model, or it cannot be loaded.
    """
    opening = opening or Opening()
    sessions = open_sessions(bundle, backend=backend, precision=precision, opening=opening)
    return fastest(bundle, sessions, opening)


def may_use_gpu(backend: str) -> bool:
    """Whether opening this back end tries a GPU on this machine."""
    return backend in LIBRARIES or (backend == "auto" and has_driver())


def open_sessions(
    bundle: Bundle, *, backend: str, precision: str | None, opening: Opening
) -> dict[str, InferenceSession]:
    """Open all precisions of one back end, or only `precision`; returned by precision.

    Raises:
        BackendError, BundleError: as `open_session`.
    """
    if backend not in BACKENDS:
        raise BackendError(f"backend is {backend!r}; choose one of {', '.join(BACKENDS)}.")
    if backend in LIBRARIES:
        return _open_gpu(bundle, backend, precision, opening)
    is_wanted = may_use_gpu(backend)
    if backend == "auto" and not is_wanted:
        opening.on_choice("no GPU is used: there is no NVIDIA driver on this machine")
    for library in LIBRARIES if is_wanted else ():
        try:
            return _open_gpu(bundle, library, precision, opening)
        except (BackendError, BundleError) as error:
            opening.on_choice(f"no {library}: {error}")
    return _open_cpu(bundle, precision, opening)


def _open_gpu(
    bundle: Bundle, library: str, precision: str | None, opening: Opening
) -> dict[str, InferenceSession]:
    """TensorRT's precisions; each session has been checked on the golden images."""
    return open_precisions(
        bundle,
        library,
        (precision,) if precision else ("int8", "fp16"),
        cache=PlanCache(opening.cache or default_folder(), keeps=opening.keeps_plans),
        on_choice=opening.on_choice,
        on_progress=opening.on_progress,
        on_gpu=opening.on_gpu,
    )


def _open_cpu(
    bundle: Bundle, precision: str | None, opening: Opening
) -> dict[str, InferenceSession]:
    if precision is not None:
        return {precision: _open_onnx(bundle, precision, opening.threads)}
    sessions: dict[str, InferenceSession] = {}
    failure = BundleError(f"{bundle.root.name} holds no model for {ONNXRUNTIME}. Convert it again.")
    for held in bundle.precisions(ONNXRUNTIME):
        # The bundle may have no INT8 graph for this processor.
        try:
            sessions[held] = _open_onnx(bundle, held, opening.threads)
        except BundleError as error:
            failure = error
    if not sessions:
        raise failure
    return sessions


def fastest(
    bundle: Bundle, sessions: dict[str, InferenceSession], opening: Opening
) -> InferenceSession:
    """The bundle's default precision, unless another one is clearly faster on this machine.

    All precisions of a bundle have passed the accuracy gate. The default is the fastest on the
    machine that converted, whose processor may have had other instructions.
    """
    if len(sessions) == 1:
        (only,) = sessions.values()
        opening.on_choice(f"{only.backend} {only.precision}, {only.graph}")
        return only
    default = bundle.default_precision
    default = default if default in sessions else next(iter(sessions))
    medians = {name: times.median for name, times in _time_sessions(bundle, sessions).items()}
    best = min(medians, key=lambda name: medians[name])
    chosen = best if medians[best] < CLEARLY_FASTER * medians[default] else default
    for precision, session in sessions.items():
        if precision != chosen:
            session.close()
    timed = ", ".join(f"{name} {median:.2f} ms" for name, median in medians.items())
    session = sessions[chosen]
    no_gain = "; INT8 brings nothing here" if "int8" in medians and chosen == "fp32" else ""
    opening.on_choice(f"{session.backend} {chosen}, {session.graph} (one image: {timed}{no_gain})")
    return session


def _time_sessions(
    bundle: Bundle, sessions: Mapping[str, InferenceSession]
) -> dict[str, Latencies]:
    blank = np.zeros((1, bundle.input.height, bundle.input.width, 3), np.uint8)

    def infer_with(session: InferenceSession) -> Callable[[int], object]:
        return lambda _: session.infer(blank)

    functions = {precision: infer_with(session) for precision, session in sessions.items()}
    short = interleave(functions, 1)
    return short if _is_clear(short) else interleave(functions, TIMING_ROUNDS)


def _is_clear(times: Mapping[str, Latencies]) -> bool:
    """Whether each call of the fastest was clearly faster than each call of the others."""
    best = min(times.values(), key=lambda one: one.median)
    others = [one for one in times.values() if one is not best]
    return all(best.percentile(100) < CLEARLY_FASTER * one.percentile(0) for one in others)


def _open_onnx(bundle: Bundle, precision: str, threads: int) -> InferenceSession:
    artefact = bundle.model(ONNXRUNTIME, precision, has_vnni=has_vnni())
    content = bundle.read(artefact.path)
    return open_onnx(content, precision, graph=artefact.path, threads=threads)
