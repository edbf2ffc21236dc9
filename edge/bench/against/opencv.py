"""OpenCV's own inference (`cv2.dnn`), on the bundle's FP32 graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.backends.names import ONNXRUNTIME
from edge.bench.against.contender import Contender, contender_of
from edge.bundle import Bundle
from edge.errors import BackendError
from edge.session import FEATURES, LOGITS, Inferred

_MAX_BATCH: Final = 64


class OpencvSession:
    """A graph in `cv2.dnn`, for one thread at a time."""

    backend = "opencv"
    max_batch = _MAX_BATCH
    precision = "fp32"

    def __init__(self, net: Any, graph: str, threads: int) -> None:
        self.graph = graph
        self._net = net
        self._threads = threads
        names = net.getUnconnectedOutLayersNames()
        self._outputs = [name for name in (LOGITS, FEATURES) if name in names] or list(names[:1])

    def infer(self, images: NDArray[np.uint8]) -> Inferred:
        """Logits and features of uint8 images (batch, height, width, 3)."""
        with _threads(self._threads):
            self._net.setInput(images)
            logits, *features = self._net.forward(self._outputs)
        return Inferred(np.array(logits, np.float32), np.array(features[0]) if features else None)

    def close(self) -> None:
        """Free the graph."""
        self._net = None


def open_opencv(subject: str, bundle: Bundle, threads: int) -> Contender:
    """Read the FP32 graph.

    Raises:
        BackendError: OpenCV cannot read it.
    """
    path = bundle.model(ONNXRUNTIME, "fp32").path
    try:
        net = cv2.dnn.readNetFromONNX(np.frombuffer(bundle.read(path), np.uint8))
    except cv2.error as error:
        text = " ".join(str(error.err).split())
        raise BackendError(f"OpenCV {cv2.__version__} cannot read the graph: {text}") from error
    version = f"OpenCV {cv2.__version__}"
    return contender_of(subject, version, threads, bundle, OpencvSession(net, path, threads))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let OpenCV use so many threads; the number is the process's, and preprocessing uses it."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
