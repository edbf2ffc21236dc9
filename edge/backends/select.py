"""Which back end serves a bundle on this machine."""

from __future__ import annotations

from typing import Final

from edge.backends.base import InferenceSession
from edge.bundle import Bundle
from edge.errors import BackendError

BACKENDS: Final = ("auto", "tensorrt", "tensorrt-rtx", "onnxruntime")


def open_session(
    bundle: Bundle, *, backend: str = "auto", precision: str | None = None, threads: int = 1
) -> InferenceSession:
    """Open a bundle's model.

    Args:
        backend: one of `BACKENDS`; `auto` takes the fastest that this machine and the bundle
            have in common.
        precision: `int8` or `fp32`; the bundle's default where it is None.
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
    from edge.backends.onnx import open_onnx

    precision = precision or bundle.default_precision
    artefact = bundle.model("onnxruntime", precision)
    return open_onnx(bundle.read(artefact.path), precision, threads=threads)
