"""Which back end serves a bundle on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import numpy as np

from edge.backends.base import InferenceSession
from edge.backends.cpu import has_vnni
from edge.backends.onnx import open_onnx
from edge.bench.measure import Latencies, interleave
from edge.bundle import Bundle
from edge.errors import BackendError, BundleError

BACKENDS: Final = ("auto", "tensorrt", "tensorrt-rtx", "onnxruntime")
# Below this share of the default's time another precision is clearly faster, noise aside.
CLEARLY_FASTER: Final = 0.9
RACE_ROUNDS: Final = 4


def open_session(
    bundle: Bundle, *, backend: str = "auto", precision: str | None = None, threads: int = 1
) -> InferenceSession:
    """Open a bundle's model.

    Args:
        backend: one of `BACKENDS`; `auto` takes the fastest that this machine and the bundle
            have in common.
        precision: `int8` or `fp32`; the fastest one here where it is None.
        threads: threads inside one inference on the CPU.

    Raises:
        BackendError: what was asked for is not to be had here.
        BundleError: the bundle holds no such model, or it cannot be loaded.
    """
    if backend not in BACKENDS:
        raise BackendError(f"backend is {backend!r}; choose one of {', '.join(BACKENDS)}.")
    if backend in ("tensorrt", "tensorrt-rtx"):
        raise BackendError(
            f"backend {backend} was asked for, {bundle.root.name} holds no engine for it. "
            "Choose backend onnxruntime or auto."
        )
    if precision is not None:
        return _open_onnx(bundle, precision, threads)
    return _fastest(bundle, threads)


def _fastest(bundle: Bundle, threads: int) -> InferenceSession:
    """The bundle's default precision, unless another one is clearly faster on this machine.

    All precisions of a bundle passed its accuracy gate; what is fastest was measured on the
    machine that converted, which may have had other instructions.
    """
    sessions: dict[str, InferenceSession] = {}
    for precision in bundle.precisions("onnxruntime"):
        # A processor may have no graph of a precision.
        with suppress(BundleError):
            sessions[precision] = _open_onnx(bundle, precision, threads)
    default = bundle.default_precision if bundle.default_precision in sessions else "fp32"
    medians = {name: race.median for name, race in _race(bundle, sessions).items()}
    best = min(medians, key=lambda name: medians[name])
    chosen = best if medians[best] < CLEARLY_FASTER * medians[default] else default
    for precision, session in sessions.items():
        if precision != chosen:
            session.close()
    return sessions[chosen]


def _race(bundle: Bundle, sessions: dict[str, InferenceSession]) -> dict[str, Latencies]:
    blank = np.zeros((1, bundle.input.height, bundle.input.width, 3), np.uint8)

    def infer_with(session: InferenceSession) -> Callable[[int], object]:
        return lambda _: session.infer(blank)

    functions = {precision: infer_with(session) for precision, session in sessions.items()}
    return interleave(functions, RACE_ROUNDS)


def _open_onnx(bundle: Bundle, precision: str, threads: int) -> InferenceSession:
    artefact = bundle.model("onnxruntime", precision, has_vnni=has_vnni())
    return open_onnx(bundle.read(artefact.path), precision, threads=threads)
