"""Runs an engine plan with TensorRT or TensorRT for RTX.

In each call the uint8 images are copied into page-locked memory, sent to the GPU, inferred, and
logits and features fetched, all in one stream. There is one CUDA graph for each of a few batch
sizes.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.backends.trt.build import Plan
from edge.backends.trt.cuda import Device, Graph
from edge.backends.trt.engine import LoadedEngine, keep_runtime_cache, open_context
from edge.backends.trt.library import Library
from edge.errors import BackendError, DeviceError, PlanError
from edge.session import Inferred

# A batch is padded to the next of these sizes, each of which has a CUDA graph. The GPU needs hardly
# more time for the padding.
_BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# The names of types in the output of the library's inspector, over all versions.
_TYPE_NAMES: Final = {
    "int8": ("int8",),
    "fp16": ("half", "fp16", "float16"),
    "fp32": ("float", "fp32", "float32"),
}


class TensorRtSession:
    """A plan on the GPU. `infer` may be called from several threads; they take turns."""

    def __init__(self, library: Library, plan: Plan, loaded: LoadedEngine) -> None:
        self.backend = library.name
        self.precision = plan.record.precision
        self.graph = plan.graph
        self.max_batch = plan.record.max_batch
        self._loaded: LoadedEngine | None = loaded
        self._sizes = batch_sizes(self.max_batch)
        self._image_shape = loaded.images.host.shape[1:]
        self._lock = threading.Lock()

    def infer(self, images: NDArray[np.uint8]) -> Inferred:
        """Logits and features of uint8 images (batch, height, width, 3)."""
        self._check(images)
        with self._lock:
            loaded = self._loaded
            if loaded is None:
                raise BackendError("the TensorRT session is closed. Open it again.")
            with loaded.device.current():
                return self._run(loaded, images)

    def _check(self, images: NDArray[np.uint8]) -> None:
        count = len(images)
        if images.dtype != np.uint8 or images.shape[1:] != self._image_shape:
            raise BackendError(
                f"images are {images.dtype} {images.shape}, the engine takes uint8 (batch, "
                f"{', '.join(map(str, self._image_shape))}). Preprocess them first."
            )
        if not 1 <= count <= self.max_batch:
            raise BackendError(
                f"{count} images in one call, the engine takes 1 to {self.max_batch}."
            )

    def _run(self, loaded: LoadedEngine, images: NDArray[np.uint8]) -> Inferred:
        count = len(images)
        size = next(size for size in self._sizes if size >= count)
        loaded.images.host[:count] = images
        if graph := loaded.graphs.get(size):
            loaded.device.launch(graph)
        else:
            loaded.queue(size)
        loaded.device.synchronise()
        # Copies: the next call overwrites the page-locked memory.
        features = loaded.features
        return Inferred(
            np.array(loaded.logits.host[:count], np.float32),
            None if features is None else np.array(features.host[:count], np.float32),
        )

    def bind(self, images: NDArray[np.uint8]) -> Execution:
        """A batch that stays in the GPU's memory, to run it without copies.

        Raises:
            BackendError: the images do not fit, the session is closed, or the GPU failed.
        """
        self._check(images)
        with self._lock:
            if self._loaded is None:
                raise BackendError("the TensorRT session is closed. Open it again.")
            return Execution(self._loaded, images)

    def close(self) -> None:
        """Free the GPU."""
        with self._lock:
            loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.unload()

    def layer_precisions(self) -> dict[str, int] | None:
        """Number of layers by output type; None if the engine has no such information."""
        with self._lock:
            loaded = self._loaded
            if loaded is None:
                return None
            json_form = loaded.library.module.LayerInformationFormat.JSON
            with loaded.device.current():
                inspector = loaded.engine.create_engine_inspector()
                return count_types(inspector.get_engine_information(json_form))

    def used_bytes(self) -> int:
        """GPU memory in use, by all processes."""
        with self._lock:
            loaded = self._loaded
            if loaded is None:
                return 0
            with loaded.device.current():
                return loaded.device.used_bytes()


class Execution:
    """The engine alone, for one batch: its own context and CUDA graph, which copy nothing.

    `TensorRtSession` captures the copies too, so its own graphs do not tell the engine's time. The
    memory is the session's: close this before the session. One thread at a time.
    """

    def __init__(self, loaded: LoadedEngine, images: NDArray[np.uint8]) -> None:
        self._device = loaded.device
        self._graph: Graph | None = None
        with self._device.current():
            self._context, _ = open_context(loaded.library, loaded.engine, None)
            loaded.images.host[: len(images)] = images
            self._device.copy_in(loaded.images, len(images))
            self._set_tensors(loaded, images.shape)
            self._queue()
            self._device.synchronise()
            # TensorRT for RTX captures by itself.
            if not loaded.library.is_rtx:
                self._graph = self._captured()

    @property
    def has_graph(self) -> bool:
        """Whether a run launches a CUDA graph."""
        return self._graph is not None

    def run(self) -> None:
        """Launch and wait.

        Raises:
            DeviceError: the GPU failed.
        """
        with self._device.current():
            if self._graph is None:
                self._queue()
            else:
                self._device.launch(self._graph)
            self._device.synchronise()

    def close(self) -> None:
        """Free graph and context; the session stays."""
        with self._device.current():
            if self._graph is not None:
                self._graph.close()
            self._graph = self._context = None

    def _set_tensors(self, loaded: LoadedEngine, shape: tuple[int, ...]) -> None:
        for name, buffer in loaded.bound.items():
            if not self._context.set_tensor_address(name, buffer.address):
                raise BackendError(f"{loaded.library} does not take memory for {name}.")
        if not self._context.set_input_shape(loaded.input_name, shape):
            raise BackendError(f"the engine refuses a batch of {shape[0]}.")

    def _queue(self) -> None:
        if not self._context.execute_async_v3(self._device.stream):
            raise DeviceError("the GPU failed in an inference. See dmesg for lines of NVRM.")

    def _captured(self) -> Graph | None:
        try:
            return self._device.capture(self._queue)
        except DeviceError:
            raise
        except BackendError:
            return None


def open_plan(
    library: Library, plan: Plan, *, runtime_cache: Path | None = None
) -> TensorRtSession:
    """Load a plan onto the GPU and capture its graphs.

    The caller has checked the plan's hash and that it fits this machine: a plan is native code.

    Args:
        runtime_cache: file for the kernels that TensorRT for RTX compiles at first use.

    Raises:
        PlanError: the library refuses the plan.
        BackendError: the GPU cannot be used, or pycuda is missing.
    """
    loaded = LoadedEngine(Device(), library)
    try:
        with loaded.device.current():
            loaded.load(plan, batch_sizes(plan.record.max_batch), runtime_cache)
    # The bindings raise these when a call inside the library fails.
    except (RuntimeError, TypeError, ValueError) as error:
        loaded.unload()
        reason = " ".join(str(error).split())[:300]
        raise PlanError(f"{library} does not load the engine: {reason}") from error
    except BaseException:
        loaded.unload()
        raise
    if runtime_cache is not None:
        keep_runtime_cache(loaded.runtime_cache, runtime_cache)
    return TensorRtSession(library, plan, loaded)


def batch_sizes(max_batch: int) -> tuple[int, ...]:
    """The batch sizes that get a CUDA graph; the largest is `max_batch`."""
    return (*(size for size in _BATCH_SIZES if size < max_batch), max_batch)


def count_types(inspected: str) -> dict[str, int] | None:
    """Layers by the type of their first output, from the inspector's JSON."""
    try:
        # TensorRT 8.6 writes line breaks into its texts as they are, which strict JSON forbids.
        layers = json.loads(inspected, strict=False)["Layers"]
        outputs = [layer["Outputs"][0] for layer in layers if layer["Outputs"]]
        types = [str(out.get("Format/Datatype", out.get("Datatype"))).lower() for out in outputs]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        # Without detailed verbosity each layer is only a name.
        return None
    found = (
        next((n for n, words in _TYPE_NAMES.items() if any(w in t for w in words)), "other")
        for t in types
    )
    return dict(Counter(found))
