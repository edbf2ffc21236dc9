"""A plain FP16 engine of TensorRT, or of TensorRT for RTX, from the bundle's FP16 graph."""

from __future__ import annotations

from edge.backends.opening import Opening
from edge.backends.select import open_session
from edge.backends.trt.library import open_library
from edge.bench.against.contender import Contender, contender_of
from edge.bundle import Bundle


def open_tensorrt(subject: str, bundle: Bundle, threads: int) -> Contender:
    """Open the bundle's engine, or build one for this GPU, which takes minutes.

    Raises:
        BackendError: library, driver or GPU is missing.
        BundleError: the bundle holds no FP16 graph.
    """
    session = open_session(
        bundle, backend=subject, precision="fp16", opening=Opening(keeps_plans=False)
    )
    version = f"{open_library(subject)}, FP16"
    return contender_of(subject, version, threads, bundle, session)
