"""OpenVINO on the CPU, on the bundle's FP32 graph or its INT8 graph."""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.backends.cpu import has_vnni
from edge.backends.names import ONNXRUNTIME
from edge.bench.against.contender import Contender, contender_of
from edge.bench.against.packages import needs
from edge.bundle import Bundle
from edge.session import FEATURES, Inferred

_MAX_BATCH: Final = 64


class OpenvinoSession:
    """A graph that OpenVINO compiled. `infer` may be called from several threads."""

    backend = "openvino"
    max_batch = _MAX_BATCH

    def __init__(self, compiled: Any, precision: str, graph: str) -> None:
        self.precision = precision
        self.graph = graph
        self._compiled = compiled
        logits, *others = compiled.outputs
        self._outputs = [logits, *(one for one in others if FEATURES in one.get_names())]
        # A request holds the buffers of one inference.
        self._own = threading.local()

    def infer(self, images: NDArray[np.uint8]) -> Inferred:
        """Logits and features of uint8 images (batch, height, width, 3)."""
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        request.infer([images], share_inputs=True)
        # Copied: the next inference overwrites what a request holds.
        found = [np.array(request.get_tensor(one).data, np.float32) for one in self._outputs]
        return Inferred(found[0], found[1] if len(found) > 1 else None)

    def close(self) -> None:
        """Free the graph."""
        self._own = threading.local()
        self._compiled = None


def open_openvino(subject: str, bundle: Bundle, threads: int) -> Contender:
    """Compile a graph for the CPU, for the latency of one image.

    Raises:
        BackendError: OpenVINO is not installed.
        BundleError: the bundle holds no such graph.
    """
    with needs("openvino"):
        import openvino

    precision = "int8" if subject.endswith("int8") else "fp32"
    path = bundle.model(ONNXRUNTIME, precision, has_vnni=has_vnni()).path
    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        # Otherwise processors with bfloat16 would compute FP32 in it.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(core.read_model(bundle.read(path)), "CPU", settings)
    session = OpenvinoSession(compiled, precision, path)
    version = f"OpenVINO {openvino.__version__.split('-')[0]}, {path}"
    return contender_of(subject, version, threads, bundle, session)
