"""A plan loaded onto the GPU: runtime, engine, execution contexts, memory and CUDA graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge.backends.trt.build import Plan
from edge.backends.trt.cuda import Buffer, Device, Graph
from edge.backends.trt.library import Library, Messages
from edge.errors import BackendError, DeviceError, PlanError, StorageError
from edge.files import atomic
from edge.session import FEATURES, LOGITS


class LoadedEngine:
    """A plan on the GPU. Call `load` once and `unload` once, even if `load` failed.

    All methods except `unload` need the device's context to be current. One thread at a time.
    `graphs` is empty if the engine cannot be captured or captures its CUDA graphs itself; `bound`
    has the memory of each tensor by its name.
    """

    # Page-locked and device memory of one tensor each, for the largest batch.
    images: Buffer
    logits: Buffer
    features: Buffer | None = None

    def __init__(self, device: Device, library: Library) -> None:
        self.device = device
        self.library = library
        self.messages = Messages(library)
        self.runtime: Any = None
        self.engine: Any = None
        self.input_name = ""
        self.graphs: dict[int, Graph] = {}
        self.runtime_cache: Any = None
        self._output_names: list[str] = []
        self._contexts: dict[int, Any] = {}
        self._workspace: Any = None
        self._buffers: list[Buffer] = []

    def load(self, plan: Plan, sizes: tuple[int, ...], runtime_cache: Path | None) -> None:
        """Load a plan and prepare each batch size.

        Raises:
            PlanError: the library refuses the plan, or it has other inputs and outputs than needed.
            DeviceError: the GPU failed.
        """
        self._deserialise(plan)
        self._name_tensors()
        self.images = self._buffer(self.input_name, plan.record.max_batch, np.uint8)
        outputs = [self._buffer(n, plan.record.max_batch, np.float32) for n in self._output_names]
        self.logits, self.features = outputs[0], outputs[1] if len(outputs) > 1 else None
        self.bound = dict(
            zip((self.input_name, *self._output_names), (self.images, *outputs), strict=True)
        )
        if self.library.is_rtx:
            # TensorRT for RTX captures a CUDA graph for every shape itself.
            context, self.runtime_cache = open_context(self.library, self.engine, runtime_cache)
            self._contexts = dict.fromkeys(sizes, context)
        else:
            self._open_contexts(sizes)
        for size in sizes:
            # The first run compiles kernels and allocates memory; neither may happen in a capture.
            self._run_first(size)
        if not self.library.is_rtx:
            self._capture(sizes)

    def queue(self, size: int) -> None:
        """Put one batch into the stream: images in, inference, logits and features out.

        Raises:
            DeviceError: the GPU failed.
            PlanError: the engine refuses a batch of this size.
        """
        context = self._contexts[size]
        shape = (size, *self.images.host.shape[1:])
        if not context.set_input_shape(self.input_name, shape):
            raise PlanError(f"the engine refuses a batch of {size}: {self.messages.reason()}")
        for name, buffer in self.bound.items():
            if not context.set_tensor_address(name, buffer.address):
                raise PlanError(
                    f"{self.library} does not take memory for {name}: {self.messages.reason()}"
                )
        self.device.copy_in(self.images, size)
        if not context.execute_async_v3(self.device.stream):
            raise DeviceError(f"the GPU failed: {self.messages.reason()}")
        self.device.copy_out(self.logits, size)
        if self.features is not None:
            self.device.copy_out(self.features, size)

    def unload(self) -> None:
        """Free in the order that the libraries need: graphs, contexts, engine, memory, device."""
        try:
            with self.device.current():
                for graph in self.graphs.values():
                    graph.close()
                self._contexts.clear()
                self.engine = self.runtime = self.runtime_cache = None
                for buffer in self._buffers:
                    buffer.free()
                if self._workspace is not None:
                    self._workspace.free()
        except DeviceError:
            # A failed GPU refuses to free; the driver does it when the process ends.
            pass
        finally:
            self.device.close()

    def _run_first(self, size: int) -> None:
        try:
            self.queue(size)
        except DeviceError as error:
            # If the GPU itself failed, this raises DeviceError; otherwise the plan is at fault.
            self.device.synchronise()
            raise PlanError(f"the engine does not run: {self.messages.reason()}") from error
        self.device.synchronise()

    def _deserialise(self, plan: Plan) -> None:
        self.runtime = self.library.module.Runtime(self.messages.logger)
        _require_validity(self.library, self.runtime, plan)
        if plan.record.version_compatible:
            # Such a plan contains a runtime, which is code. The plan's hash was checked.
            self.runtime.engine_host_code_allowed = True
        self.engine = self.runtime.deserialize_cuda_engine(plan.content)
        if self.engine is None:
            raise PlanError(
                f"{self.library} does not load the engine: {self.messages.reason()}. Build it "
                f"again here: edge-convert NAME.edge --engine {self.library.name}"
            )

    def _name_tensors(self) -> None:
        engine, mode = self.engine, self.library.module.TensorIOMode
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == mode.INPUT]
        outputs = [name for name in names if engine.get_tensor_mode(name) == mode.OUTPUT]
        # The library may list outputs in another order than the graph. A sole output is the logits,
        # whatever its name: plans in older bundles were built from such graphs.
        logits = outputs if len(outputs) == 1 else [name for name in outputs if name == LOGITS]
        features = [name for name in outputs if name == FEATURES and name not in logits]
        if len(inputs) != 1 or len(logits) != 1 or len(logits) + len(features) != len(outputs):
            raise PlanError(
                f"the engine has tensors {names}; one input, {LOGITS} and at most {FEATURES} "
                "needed. Build it again: edge-convert NAME.edge --engine "
                f"{self.library.name}"
            )
        self.input_name, self._output_names = inputs[0], logits + features

    def _buffer(self, name: str, rows: int, dtype: type[np.generic]) -> Buffer:
        shape = (rows, *tuple(self.engine.get_tensor_shape(name))[1:])
        self._buffers.append(self.device.buffer(shape, dtype))
        return self._buffers[-1]

    def _open_contexts(self, sizes: tuple[int, ...]) -> None:
        """One context per batch size, because a captured one must not change its shape.

        They never run at the same time, so they share one workspace.
        """
        trt, engine = self.library.module, self.engine
        is_old = self.library.is_weakly_typed
        # Version 8 has only the names without `_v2`, version 11 only those with it.
        size_bytes = engine.device_memory_size if is_old else engine.device_memory_size_v2
        self._workspace = self.device.allocate(max(int(size_bytes), 1))
        for size in sizes:
            if is_old:
                context = engine.create_execution_context_without_device_memory()
            else:
                strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
                context = engine.create_execution_context(strategy)
            if context is None:
                raise PlanError(f"{self.library} cannot run the engine: {self.messages.reason()}")
            if is_old:
                context.device_memory = int(self._workspace)
            else:
                context.set_device_memory(int(self._workspace), int(size_bytes))
            self._contexts[size] = context

    def _capture(self, sizes: tuple[int, ...]) -> None:
        """Capture each batch size; an engine that cannot be captured runs without CUDA graphs."""
        try:
            for size in sizes:
                self.graphs[size] = self.device.capture(lambda n=size: self.queue(n))  # type: ignore[misc]
        except DeviceError:
            raise
        except BackendError:
            for graph in self.graphs.values():
                graph.close()
            self.graphs.clear()


def open_context(library: Library, engine: Any, runtime_cache: Path | None) -> tuple[Any, Any]:
    """A context with its own memory; for TensorRT for RTX also the cache of its kernels."""
    if not library.is_rtx:
        return engine.create_execution_context(), None
    module = library.module
    config = engine.create_runtime_config()
    # The library captures CUDA graphs itself; others may capture only engines built for that.
    config.cuda_graph_strategy = module.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    # Compile kernels now, so that the first image need not wait for that.
    strategies = module.DynamicShapesKernelSpecializationStrategy
    config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
    cache = config.create_runtime_cache()
    try:
        content = runtime_cache.read_bytes() if runtime_cache else b""
    except OSError:
        content = b""
    if content:
        try:
            # Returns False for a cache of another driver or version, and fills it from scratch.
            cache.deserialize(content)
        except (RuntimeError, ValueError, TypeError):
            # Damaged: start with an empty cache.
            cache = config.create_runtime_cache()
    config.set_runtime_cache(cache)
    context = engine.create_execution_context(config)
    if context is None:
        raise PlanError(f"{library} cannot run the engine on this GPU.")
    return context, cache


def keep_runtime_cache(cache: Any, path: Path) -> None:
    """Write the kernels that TensorRT for RTX has compiled, if they have changed."""
    if cache is None:
        return
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


def _require_validity(library: Library, runtime: Any, plan: Plan) -> None:
    """Refuse a plan that does not fit. Only TensorRT for RTX can say so before it is loaded."""
    if not hasattr(runtime, "get_engine_validity"):
        return
    validity, diagnostics = runtime.get_engine_validity(plan.content)
    if validity == library.module.EngineValidity.INVALID:
        kinds = library.module.EngineInvalidityDiagnostics
        names = [name for name in dir(kinds) if name.isupper()]
        causes = [name for name in names if int(getattr(kinds, name)) & int(diagnostics)]
        raise PlanError(
            f"{library} does not accept the engine here ({', '.join(causes) or 'no cause given'}). "
            f"Build it again here: edge-convert NAME.edge --engine {library.name}"
        )
