"""ONNX Runtime on the CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.backends.early_warnings import without_cpuinfo_warnings
from edge.errors import BackendError, BundleError, first_line
from edge.session import FEATURES, Inferred

with without_cpuinfo_warnings():
    import onnxruntime as ort
    from onnxruntime.capi import onnxruntime_pybind11_state

BACKEND_NAME = "onnxruntime-cpu"
VERSION: str = ort.__version__
# Larger batches gain nothing on a CPU: an image of the reference model took as much processor time
# in 2, 4, 8 and 16. They add latency to the first image of a batch, and memory that ONNX Runtime
# keeps: 12 MB for two workers between 8 and 16.
MAX_BATCH = 8

# ONNX Runtime's exceptions have no common base class; native code also raises the built-in ones.
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(
        kind
        for kind in vars(onnxruntime_pybind11_state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
)


class OnnxSession:
    """An ONNX model in ONNX Runtime. `infer` may be called from several threads."""

    backend = BACKEND_NAME
    max_batch = MAX_BATCH

    def __init__(self, session: ort.InferenceSession, precision: str, graph: str) -> None:
        self.precision = precision
        self.graph = graph
        self._session: ort.InferenceSession | None = session
        self._input_name: str = session.get_inputs()[0].name
        logits, *others = (output.name for output in session.get_outputs())
        # Only these are asked for: a graph from elsewhere may have more outputs.
        self._outputs = [logits, FEATURES] if FEATURES in others else [logits]

    def infer(self, images: NDArray[np.uint8]) -> Inferred:
        """Logits and features of uint8 images (batch, height, width, 3)."""
        # Another thread may call close() meanwhile; the local name keeps the session alive.
        session = self._session
        if session is None:
            raise BackendError("the ONNX Runtime session is closed. Open it again.")
        try:
            logits, *features = session.run(self._outputs, {self._input_name: images})
        except RUNTIME_ERRORS as error:
            raise BackendError(f"ONNX Runtime failed: {first_line(error)}") from error
        return Inferred(
            np.asarray(logits, np.float32),
            np.asarray(features[0], np.float32) if features else None,
        )

    def bind(self, images: NDArray[np.uint8]) -> OnnxBinding:
        """These images as the input, and memory for the output, without a copy in a run.

        Raises:
            BackendError: the session is closed, or ONNX Runtime failed.
        """
        if self._session is None:
            raise BackendError("the ONNX Runtime session is closed. Open it again.")
        return OnnxBinding(self._session, self._input_name, self._outputs, images)

    def close(self) -> None:
        """Free the session's memory."""
        self._session = None


class OnnxBinding:
    """A batch that ONNX Runtime reads from, and results that it writes into, where they lie."""

    def __init__(
        self,
        session: ort.InferenceSession,
        input_name: str,
        outputs: list[str],
        images: NDArray[np.uint8],
    ) -> None:
        self._session: ort.InferenceSession | None = session
        self._binding = session.io_binding()
        try:
            found = session.run(outputs, {input_name: images})
            values = [ort.OrtValue.ortvalue_from_numpy(images)]
            self._binding.bind_ortvalue_input(input_name, values[0])
            for name, result in zip(outputs, found, strict=True):
                values.append(ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(result)))
                self._binding.bind_ortvalue_output(name, values[-1])
        except RUNTIME_ERRORS as error:
            raise BackendError(f"ONNX Runtime failed: {first_line(error)}") from error
        # The binding holds addresses alone.
        self._values = values

    def run(self) -> None:
        """Infer."""
        if self._session is None:
            raise BackendError("the binding is closed. Bind the images again.")
        try:
            self._session.run_with_iobinding(self._binding)
        except RUNTIME_ERRORS as error:
            raise BackendError(f"ONNX Runtime failed: {first_line(error)}") from error

    def close(self) -> None:
        """Free the memory."""
        self._session = None
        self._values = []


def open_onnx(
    model: bytes, precision: str, *, graph: str = "", threads: int = 1, optimise: bool = True
) -> OnnxSession:
    """Open a serialised ONNX model.

    Args:
        graph: the model's file name in its bundle.
        threads: threads within one inference. One thread labels the most images per second, as
            the other cores decode and write; more threads shorten a single inference.
        optimise: if False, every node runs as it is in the graph, without fusions.

    Raises:
        BundleError: ONNX Runtime cannot load the model.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL
    options.log_severity_level = 3
    # A pattern is one block for all activations, kept for each size of a batch.
    options.enable_mem_pattern = False
    # Spinning threads would take the cores that decode images and write results.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except RUNTIME_ERRORS as error:
        raise BundleError(
            f"ONNX Runtime {ort.__version__} cannot load the model: {first_line(error)}"
        ) from error
    return OnnxSession(session, precision, graph)
