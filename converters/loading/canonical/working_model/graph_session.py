"""Runs a graph on images in the course of canonicalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper

from converters.onnx_graph.sessions import open_session, session_options
from edge.backends.onnx import RUNTIME_ERRORS
from edge.errors import first_line

# Batches that exporters often fix; tried in turn if a graph does not declare its own.
LIKELY_BATCHES: Final = (1, 2, 3, 4, 8, 16, 32, 64)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class GraphSession:
    """An opened graph with one input."""

    session: ort.InferenceSession
    dtype: np.dtype[Any]

    def infer(self, images: NDArray[np.float32]) -> Arrays:
        """All outputs by name for a batch (n, 3, h, w).

        Raises:
            RuntimeError: the graph does not run on such a batch.
        """
        feed = {self.session.get_inputs()[0].name: images.astype(self.dtype)}
        names = [output.name for output in self.session.get_outputs()]
        try:
            return dict(zip(names, self.session.run(None, feed), strict=True))
        except RUNTIME_ERRORS as error:
            raise RuntimeError(error) from error

    def rows(self, images: NDArray[np.float32], batch: int) -> Arrays:
        """All outputs (n, ...) of images run one by one, each repeated to fill the batch."""
        found = [self.infer(np.repeat(image[None], batch, axis=0)) for image in images]
        return {
            name: np.stack([first_of_batch(outputs[name], batch) for outputs in found])
            for name in found[0]
            if isinstance(found[0][name], np.ndarray)
        }


def open_graph(model: onnx.ModelProto, *, optimised: bool = True) -> GraphSession:
    """Open a graph with one image input.

    Raises:
        RuntimeError: ONNX Runtime has no kernels for it, or its shapes contradict each other.
    """
    options = session_options(threads=2, is_optimised=optimised, is_silent=True)
    try:
        session = open_session(model, options)
    except RUNTIME_ERRORS as error:
        raise RuntimeError(error) from error
    elem_type = model.graph.input[0].type.tensor_type.elem_type
    return GraphSession(session, np.dtype(helper.tensor_dtype_to_np_dtype(elem_type)))


def first_of_batch(output: NDArray[Any], batch: int) -> NDArray[Any]:
    """The first image's part of an output; for a batch of one the batch axis may be missing."""
    has_axis = output.ndim > 0 and output.shape[0] == batch
    return np.asarray(output[0] if has_axis else output)


def batch_of(session: GraphSession, declared: int, images: NDArray[np.float32]) -> int:
    """The batch of a graph: the declared one, or else the first on which it runs.

    Raises:
        RuntimeError: it runs on none; the error for the first.
    """
    candidates = (declared,) if declared > 0 else LIKELY_BATCHES
    reasons = []
    for batch in candidates:
        try:
            session.infer(np.repeat(images[:1], batch, axis=0))
        except RuntimeError as error:
            reasons.append(error)
        else:
            return batch
    raise reasons[0]


def reason_of(error: BaseException) -> str:
    """An exception's message in one short line; TorchScript's cause is in its last line."""
    if "TorchScript interpreter" in str(error):
        return str(error).strip().splitlines()[-1].strip()[:200]
    return first_line(error)[:200]


def is_near(found: NDArray[Any], expected: NDArray[Any], tolerance: float) -> bool:
    """Whether the largest deviation is within a share of the expected values' range.

    NaN equals NaN.
    """
    if found.shape != expected.shape:
        return False
    if found.dtype.kind not in "fiu":
        # Class names or flags.
        return np.array_equal(found, expected)
    if np.array_equal(found, expected, equal_nan=True):
        return True
    range_ = max(float(np.ptp(expected)), 1e-6)
    deviation = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    return bool(deviation.max(initial=0.0) <= tolerance * range_)
