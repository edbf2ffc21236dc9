"""Serve an engine plan with TensorRT or TensorRT for RTX.

One call: the uint8 images are copied into page-locked memory, sent, inferred and fetched in one
stream, as one CUDA graph for each of a few batch sizes.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge import atomic
from edge.backends.cuda import Buffer, Device, Graph
from edge.backends.plan import PlanRecord
from edge.backends.trt_build import Plan
from edge.backends.trt_library import Library, Messages
from edge.errors import BackendError, BundleError, DeviceError, StorageError

# A batch is filled up to the next of these: the GPU takes hardly longer, and each has its graph.
_BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# As the library's inspector writes them, in all of its versions.
_TYPE_NAMES: Final = {
    "int8": ("int8",),
    "fp16": ("half", "fp16", "float16"),
    "fp32": ("float", "fp32", "float32"),
}


@dataclass(slots=True)
class _Loaded:
    """What stands on the GPU. `graphs` is empty where the engine cannot be captured."""

    device: Device
    library: Library
    messages: Messages
    runtime: Any
    engine: Any
    context: Any
    input_name: str
    images: Buffer
    logits: Buffer
    graphs: dict[int, Graph]
    runtime_cache: Any = None


class TensorRtSession:
    """A plan on the GPU. `infer` may be called from several threads; they take turns."""

    def __init__(self, library: Library, record: PlanRecord, loaded: _Loaded) -> None:
        self.backend = library.name
        self.precision = record.precision
        self.max_batch = record.max_batch
        self._loaded: _Loaded | None = loaded
        self._sizes = batch_sizes(record.max_batch)
        self._image_shape = loaded.images.host.shape[1:]
        self._lock = threading.Lock()

    def infer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits (batch, classes) of uint8 images (batch, height, width, 3)."""
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
        with self._lock:
            loaded = self._loaded
            if loaded is None:
                raise BackendError("the TensorRT session is closed. Open it again.")
            with loaded.device.current():
                return self._run(loaded, images)

    def _run(self, loaded: _Loaded, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        count = len(images)
        size = next(size for size in self._sizes if size >= count)
        loaded.images.host[:count] = images
        if graph := loaded.graphs.get(size):
            loaded.device.launch(graph)
        else:
            _set_batch(loaded, size)
            _queue(loaded, size)
        loaded.device.synchronise()
        return np.array(loaded.logits.host[:count], np.float32)

    def close(self) -> None:
        """Free the GPU."""
        with self._lock:
            loaded, self._loaded = self._loaded, None
        if loaded is not None:
            _unload(loaded)

    def layer_precisions(self) -> dict[str, int] | None:
        """How many layers of the finished engine give out which type; None if it cannot tell."""
        if self._loaded is None:
            return None
        module = self._loaded.library.module
        inspector = self._loaded.engine.create_engine_inspector()
        text = inspector.get_engine_information(module.LayerInformationFormat.JSON)
        return count_types(text)

    def used_bytes(self) -> int:
        """GPU memory in use, by all processes."""
        if self._loaded is None:
            return 0
        with self._lock, self._loaded.device.current():
            return self._loaded.device.used_bytes()


def open_plan(
    library: Library, plan: Plan, *, runtime_cache: Path | None = None
) -> TensorRtSession:
    """Load a plan onto the GPU and capture its graphs.

    The caller has checked the plan's hash and that it fits this machine: a plan is native code.

    Args:
        runtime_cache: file that keeps the kernels which TensorRT for RTX compiles at first use.

    Raises:
        BackendError: the library or the GPU refuses it.
    """
    device = Device()
    try:
        with device.current():
            loaded = _load(library, plan, device, runtime_cache)
            _warm_up(loaded, batch_sizes(plan.record.max_batch))
            if not library.is_rtx:
                _capture_graphs(loaded, batch_sizes(plan.record.max_batch))
    except BaseException:
        device.close()
        raise
    if loaded.runtime_cache is not None and runtime_cache is not None:
        _keep_runtime_cache(loaded.runtime_cache, runtime_cache)
    return TensorRtSession(library, plan.record, loaded)


def batch_sizes(max_batch: int) -> tuple[int, ...]:
    """The batch sizes that have a graph, `max_batch` the largest."""
    return (*(size for size in _BATCH_SIZES if size < max_batch), max_batch)


def count_types(inspected: str) -> dict[str, int] | None:
    """Layers by the type of their first output, from the inspector's JSON."""
    try:
        layers = json.loads(inspected)["Layers"]
        types = [str(layer["Outputs"][0]).lower() for layer in layers if layer["Outputs"]]
    except (ValueError, KeyError, TypeError, IndexError):
        # Without detailed verbosity the layers are names alone.
        return None
    found = (
        next((n for n, words in _TYPE_NAMES.items() if any(w in t for w in words)), "other")
        for t in types
    )
    return dict(Counter(found))


def _load(library: Library, plan: Plan, device: Device, runtime_cache: Path | None) -> _Loaded:
    messages = Messages(library)
    runtime = library.module.Runtime(messages.logger)
    _require_validity(library, runtime, plan)
    if plan.record.version_compatible:
        # Such a plan brings its own runtime. Its hash was checked.
        runtime.engine_host_code_allowed = True
    engine = runtime.deserialize_cuda_engine(plan.content)
    if engine is None:
        raise BackendError(
            f"{library} does not load the engine: {messages.reason()}. Build it again here: "
            "edge-convert NAME.edge --engine " + library.name
        )
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    mode = library.module.TensorIOMode
    inputs = [name for name in names if engine.get_tensor_mode(name) == mode.INPUT]
    outputs = [name for name in names if engine.get_tensor_mode(name) == mode.OUTPUT]
    if len(inputs) != 1 or len(outputs) != 1:
        raise BundleError(f"the engine has tensors {names}; one input and one output are needed.")
    context, cache = _open_context(library, engine, runtime_cache)
    if context is None:
        raise BackendError(f"{library} cannot run the engine: {messages.reason()}")
    rows = plan.record.max_batch
    images = device.buffer((rows, *tuple(engine.get_tensor_shape(inputs[0]))[1:]), np.uint8)
    logits = device.buffer((rows, *tuple(engine.get_tensor_shape(outputs[0]))[1:]), np.float32)
    for name, buffer in ((inputs[0], images), (outputs[0], logits)):
        if not context.set_tensor_address(name, buffer.address):
            raise BackendError(f"{library} does not take memory for {name}: {messages.reason()}")
    return _Loaded(
        device=device,
        library=library,
        messages=messages,
        runtime=runtime,
        engine=engine,
        context=context,
        input_name=inputs[0],
        images=images,
        logits=logits,
        graphs={},
        runtime_cache=cache,
    )


def _require_validity(library: Library, runtime: Any, plan: Plan) -> None:
    """TensorRT for RTX tells before loading whether a plan fits."""
    if not hasattr(runtime, "get_engine_validity"):
        return
    validity, diagnostics = runtime.get_engine_validity(plan.content)
    if validity == library.module.EngineValidity.INVALID:
        kinds = library.module.EngineInvalidityDiagnostics
        names = [name for name in dir(kinds) if name.isupper()]
        causes = [name for name in names if int(getattr(kinds, name)) & int(diagnostics)]
        raise BackendError(
            f"{library} does not accept the engine here ({', '.join(causes) or 'no cause given'}). "
            "Build it again here: edge-convert NAME.edge --engine " + library.name
        )


def _open_context(library: Library, engine: Any, runtime_cache: Path | None) -> tuple[Any, Any]:
    """An execution context; with TensorRT for RTX also the cache of the kernels it compiles."""
    if not library.is_rtx:
        return engine.create_execution_context(), None
    module = library.module
    config = engine.create_runtime_config()
    # It captures its graphs itself; a capture from outside needs an engine built for that.
    config.cuda_graph_strategy = module.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    # Compile before the first patient's image, not beside it.
    strategies = module.DynamicShapesKernelSpecializationStrategy
    config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
    cache = config.create_runtime_cache()
    try:
        content = runtime_cache.read_bytes() if runtime_cache else b""
    except OSError:
        content = b""
    if content:
        # False: of another driver or version. It is filled anew.
        cache.deserialize(content)
    config.set_runtime_cache(cache)
    return engine.create_execution_context(config), cache


def _keep_runtime_cache(cache: Any, path: Path) -> None:
    content = bytes(cache.serialize())
    try:
        if path.exists() and path.read_bytes() == content:
            return
        atomic.make_folder(path.parent)
        atomic.write_file(path, content)
        path.chmod(0o600)
    except (StorageError, OSError):
        # The kernels are compiled again at the next start.
        return


def _warm_up(loaded: _Loaded, sizes: tuple[int, ...]) -> None:
    """Run each batch size once: the first run compiles kernels and allocates."""
    for size in sizes:
        _set_batch(loaded, size)
        _queue(loaded, size)
        loaded.device.synchronise()


def _capture_graphs(loaded: _Loaded, sizes: tuple[int, ...]) -> None:
    """Capture each batch size; an engine that cannot be captured runs without.

    After a change of shape the context has work to do that no capture may hold, so that each size
    runs once more before.
    """
    try:
        for size in sizes:
            _set_batch(loaded, size)
            _queue(loaded, size)
            loaded.device.synchronise()
            loaded.graphs[size] = loaded.device.capture(lambda n=size: _queue(loaded, n))  # type: ignore[misc]
    except DeviceError:
        raise
    except BackendError:
        for graph in loaded.graphs.values():
            graph.close()
        loaded.graphs.clear()


def _set_batch(loaded: _Loaded, size: int) -> None:
    if not loaded.context.set_input_shape(loaded.input_name, (size, *loaded.images.host.shape[1:])):
        raise BackendError(f"the engine refuses a batch of {size}: {loaded.messages.reason()}")


def _queue(loaded: _Loaded, size: int) -> None:
    loaded.device.copy_in(loaded.images, size)
    if not loaded.context.execute_async_v3(loaded.device.stream):
        raise DeviceError(f"the GPU failed: {loaded.messages.reason()}")
    loaded.device.copy_out(loaded.logits, size)


def _unload(loaded: _Loaded) -> None:
    """Free in the order that the libraries want: graphs, context, engine, memory, device."""
    try:
        with loaded.device.current():
            for graph in loaded.graphs.values():
                graph.close()
            loaded.context = loaded.engine = loaded.runtime = loaded.runtime_cache = None
            loaded.images.free()
            loaded.logits.free()
    except DeviceError:
        # A GPU that failed refuses to free; the driver does it when the process ends.
        pass
    finally:
        loaded.device.close()
