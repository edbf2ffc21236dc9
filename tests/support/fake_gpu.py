"""A fake at the hardware border: the NVIDIA driver, pycuda and TensorRT, on the CPU.

`FakeTensorRt` stands for the library: its plan holds the ONNX graph, which ONNX Runtime computes
in place of the GPU. `FakeDriver` and `FakePycuda` stand for driver and memory. Work that is queued
into a stream runs when the stream is synchronised, as on a GPU: whoever reads results earlier, or
reuses a buffer too early, gets wrong ones.
"""

from __future__ import annotations

import ctypes
import json
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge.backends.onnx import open_onnx

ILLEGAL_ADDRESS = 700
# How a plan that loads on paper fails: see `_Engine` and `Runtime`.
FAULTS = ("is none", "raises", "no context", "does not run", "wrong labels")
# A timing cache that the library takes, and with which it then builds nothing.
DAMAGED_TIMINGS = b"damaged"
_CODES = {35: "CUDA_ERROR_INSUFFICIENT_DRIVER", 700: "CUDA_ERROR_ILLEGAL_ADDRESS"}

Work = Callable[[], None]


@dataclass
class FakeGpu:
    """One GPU. `lost` makes every further call fail, as after a fault of the device."""

    name: str = "Fake RTX 4000"
    capability: tuple[int, int] = (8, 9)
    count: int = 1
    lost: bool = False
    can_capture: bool = True
    # Layers of a parsed network that the library says it quantizes.
    quantize_layers: int = 0
    # Batches from which on the first two logits change places: a kernel that is wrong.
    swapped_above: int | None = None
    # What becomes of the first so many plans: one of `FAULTS`.
    fault: str | None = None
    faulty_builds: int = 0
    can_build: bool = True
    queue: list[Work] = field(default_factory=list)
    capturing: list[Work] | None = None
    graphs: dict[int, list[Work]] = field(default_factory=dict)
    launches: int = 0
    runs: list[int] = field(default_factory=list)
    builds: list[dict[str, Any]] = field(default_factory=list)
    allocations: int = 0
    pushed: int = 0

    def enqueue(self, work: Work) -> None:
        if self.capturing is None:
            self.queue.append(work)
        else:
            self.capturing.append(work)

    def fault_of(self, plan: bytes) -> str | None:
        """How this plan fails, by its header."""
        header = plan.partition(b"\0")[0]
        try:
            number = json.loads(header)["number"]
        except ValueError:
            return None
        return self.fault if number <= self.faulty_builds else None

    def drain(self) -> None:
        for work in self.queue:
            work()
        self.queue.clear()


class FakeDriver:
    """The calls of libcuda.so.1 that `edge.backends` makes through ctypes."""

    def __init__(self, gpu: FakeGpu) -> None:
        self._gpu = gpu

    def cuInit(self, _flags: int) -> int:  # noqa: N802 - the driver's name, as all below
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._gpu.count
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        device._obj.value = ordinal
        return 0

    def cuDeviceGetName(self, name: Any, _size: int, _device: Any) -> int:  # noqa: N802
        name.value = self._gpu.name.encode()
        return 0

    def cuDeviceGetAttribute(self, value: Any, which: int, _device: Any) -> int:  # noqa: N802
        value._obj.value = self._gpu.capability[which - 75]
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = 13000
        return 0

    def cuGetErrorName(self, code: int, text: Any) -> int:  # noqa: N802
        if code not in _CODES:
            return 1
        text._obj.value = _CODES[code].encode()
        return 0

    def cuStreamBeginCapture_v2(self, _stream: Any, _mode: int) -> int:  # noqa: N802
        if not self._gpu.can_capture:
            return 801
        self._gpu.capturing = []
        return 0

    def cuStreamEndCapture(self, _stream: Any, graph: Any) -> int:  # noqa: N802
        captured, self._gpu.capturing = self._gpu.capturing, None
        graph._obj.value = len(self._gpu.graphs) + 1
        self._gpu.graphs[graph._obj.value] = captured or []
        return 0

    def cuGraphInstantiateWithFlags(self, executable: Any, graph: Any, _flags: Any) -> int:  # noqa: N802
        executable._obj.value = graph.value
        return 0

    def cuGraphLaunch(self, executable: Any, _stream: Any) -> int:  # noqa: N802
        if self._gpu.lost:
            return ILLEGAL_ADDRESS
        self._gpu.launches += 1
        for work in self._gpu.graphs[executable.value]:
            self._gpu.enqueue(work)
        return 0

    def cuGraphDestroy(self, _graph: Any) -> int:  # noqa: N802
        return 0

    def cuGraphExecDestroy(self, _executable: Any) -> int:  # noqa: N802
        return 0


class _PycudaError(Exception):
    """As pycuda.driver.Error: all of its errors derive from it."""


class _Allocation:
    def __init__(self, gpu: FakeGpu, size: int) -> None:
        self.memory = np.zeros(size, np.uint8)
        self._gpu = gpu
        gpu.allocations += 1

    def __int__(self) -> int:
        return int(self.memory.ctypes.data)

    def free(self) -> None:
        self._gpu.allocations -= 1


def fake_pycuda(gpu: FakeGpu) -> ModuleType:  # noqa: C901 - one module of small fakes
    """The part of pycuda.driver that `edge.backends.cuda` uses."""

    def require_gpu() -> None:
        if gpu.lost:
            raise _PycudaError("cuStreamSynchronize failed: an illegal memory access")

    class Context:
        def push(self) -> None:
            gpu.pushed += 1

        @staticmethod
        def pop() -> None:
            assert gpu.pushed > 0, "a context was popped that was not pushed"
            gpu.pushed -= 1

        def detach(self) -> None:
            gpu.pushed -= 1

    class Device:
        def __init__(self, _ordinal: int) -> None:
            require_gpu()

        def retain_primary_context(self) -> Context:
            return Context()

    class Stream:
        handle = 7

        def synchronize(self) -> None:
            require_gpu()
            gpu.drain()

    class Pinned(np.ndarray[Any, Any]):
        pass

    def pagelocked_zeros(shape: tuple[int, ...], dtype: Any) -> Any:
        allocation = _Allocation(gpu, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        array = allocation.memory.view(dtype).reshape(shape).view(Pinned)
        return _WithBase(array, allocation)

    def copy_in(target: _Allocation, source: Any, _stream: Any) -> None:
        assert gpu.pushed == 1, "the context is not current"
        size = source.nbytes
        # What is copied is what stands there when the stream gets to it.
        gpu.enqueue(lambda: _copy(int(target), source.ctypes.data, size))

    def copy_out(target: Any, source: _Allocation, _stream: Any) -> None:
        gpu.enqueue(lambda: _copy(target.ctypes.data, int(source), target.nbytes))

    module: Any = ModuleType("pycuda.driver")
    module.Error, module.Context, module.Device, module.Stream = (
        _PycudaError,
        Context,
        Device,
        Stream,
    )
    module.init = lambda: None
    module.pagelocked_zeros = pagelocked_zeros
    module.mem_alloc = lambda size: _Allocation(gpu, size)
    module.mem_get_info = lambda: (10_000_000 - gpu.allocations, 10_000_000)
    module.memcpy_htod_async, module.memcpy_dtoh_async = copy_in, copy_out
    return module  # type: ignore[no-any-return]


def _copy(target: int, source: int, size: int) -> None:
    ctypes.memmove(target, source, size)


class _WithBase:
    """An array whose `base` frees it, as pycuda's page-locked arrays."""

    def __init__(self, array: Any, base: _Allocation) -> None:
        self.array, self.base = array, base
        self.shape, self.nbytes = array.shape, array.nbytes

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self.array)[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.array[key] = value


_TACTIC_SOURCES = {
    "CUBLAS": 0,
    "CUBLAS_LT": 1,
    "CUDNN": 2,
    "EDGE_MASK_CONVOLUTIONS": 3,
    "JIT_CONVOLUTIONS": 4,
}


class _Severity(IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2


def fake_tensorrt(  # noqa: C901 - one module of small fakes
    gpu: FakeGpu, version: str = "10.16.1.11", *, enqueue: Callable[[int, Work], None] | None = None
) -> ModuleType:
    """The part of TensorRT that `edge.backends` uses.

    Args:
        enqueue: puts work into the stream of that handle; the fake GPU's own where None.
    """
    queue = enqueue or (lambda _stream, work: gpu.enqueue(work))
    is_strong = not version.startswith("8.")
    loggers = _Loggers()

    class ILogger:
        Severity = _Severity

        def __init__(self) -> None:
            pass

    class Parser:
        num_errors = 1

        def __init__(self, network: Any, _logger: Any) -> None:
            self._network = network

        def parse(self, graph: bytes) -> bool:
            try:
                self._network.open(graph)
            except Exception:  # noqa: BLE001 - the parser says only yes or no
                return False
            return True

        def get_error(self, _index: int) -> Any:
            return SimpleNamespace(desc=lambda: "no such operator")

    class Builder:
        def __init__(self, logger: Any) -> None:
            self.logger = logger
            loggers.register(logger)

        def create_network(self, flags: int) -> Any:
            return _Network(flags, gpu.quantize_layers)

        def create_builder_config(self) -> Any:
            return _Config(loggers)

        def create_optimization_profile(self) -> Any:
            return _Profile()

        def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
            monitor = config.progress_monitor
            if monitor is not None:
                monitor.phase_start("Building", None, 2)
                if not (
                    monitor.step_complete("Building", 0) and monitor.step_complete("Building", 1)
                ):
                    return None
                monitor.phase_finish("Building")
            gpu.builds.append(
                {
                    "flags": config.flags,
                    "typing": network.flags,
                    "tactic_sources": config.tactic_sources,
                }
            )
            if config.timings == DAMAGED_TIMINGS or not gpu.can_build:
                self.logger.log(_Severity.ERROR, "no implementation for a node")
                return None
            if gpu.lost:
                self.logger.log(_Severity.ERROR, "out of memory")
                return None
            shares = is_strong or "PROFILE_SHARING_0806" in config.previews
            header = {
                "shapes": config.profiles[0].shapes["images"],
                "shares_profile": shares,
                "number": len(gpu.builds),
            }
            graph: bytes = network.graph
            return json.dumps(header).encode() + b"\0" + graph

    class Runtime:
        engine_host_code_allowed = False

        def __init__(self, logger: Any) -> None:
            self.logger = logger
            loggers.register(logger)

        def deserialize_cuda_engine(self, plan: bytes) -> Any:
            header, _, graph = plan.partition(b"\0")
            fault = gpu.fault_of(plan)
            if fault == "raises":
                raise RuntimeError("std::bad_alloc")
            if fault == "is none":
                self.logger.log(_Severity.ERROR, "Version tag does not match")
                return None
            try:
                return _Engine(gpu, queue, {**json.loads(header), "fault": fault}, graph)
            except ValueError:
                self.logger.log(_Severity.ERROR, "magicTag does not match")
                return None

    module: Any = ModuleType("tensorrt")
    module.__version__ = version
    module.fake_loggers = loggers
    module.ILogger, module.OnnxParser, module.Builder, module.Runtime = (
        ILogger,
        Parser,
        Builder,
        Runtime,
    )
    flags = {"STRONGLY_TYPED": 1} if is_strong else {"EXPLICIT_BATCH": 0}
    module.NetworkDefinitionCreationFlag = SimpleNamespace(**flags)
    module.BuilderFlag = SimpleNamespace(
        FP16="FP16", INT8="INT8", VERSION_COMPATIBLE="VERSION_COMPATIBLE"
    )
    module.HardwareCompatibilityLevel = SimpleNamespace(
        AMPERE_PLUS="AMPERE_PLUS", SAME_COMPUTE_CAPABILITY="SAME_COMPUTE_CAPABILITY"
    )
    module.ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED=2)
    module.MemoryPoolType = SimpleNamespace(WORKSPACE=0)
    module.ProfilingVerbosity = SimpleNamespace(DETAILED=2)
    module.LayerInformationFormat = SimpleNamespace(JSON=1)
    module.LayerType = SimpleNamespace(QUANTIZE="quantize")
    module.TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")
    if not is_strong:
        module.PreviewFeature = SimpleNamespace(PROFILE_SHARING_0806="PROFILE_SHARING_0806")
        module.TacticSource = SimpleNamespace(**_TACTIC_SOURCES)
    if is_strong:
        module.IProgressMonitor = type("IProgressMonitor", (), {})
    return module  # type: ignore[no-any-return]


class _Network:
    def __init__(self, flags: int, quantize_layers: int) -> None:
        self.flags = flags
        self.num_layers = 1 + quantize_layers

    def open(self, graph: bytes) -> None:
        open_onnx(graph, "fp32", optimise=False)
        self.graph = graph

    def get_layer(self, index: int) -> Any:
        return SimpleNamespace(type="quantize" if index else "convolution")

    def get_input(self, _index: int) -> Any:
        session = open_onnx(self.graph, "fp32", optimise=False)._session
        assert session is not None
        shape = (-1, *session.get_inputs()[0].shape[1:])
        return SimpleNamespace(name="images", shape=shape)


class _Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, Any] = {}

    def set_shape(self, name: str, *shapes: tuple[int, ...]) -> None:
        self.shapes[name] = shapes


class _TimingCache:
    """Logs while it is destroyed, to the first logger that the library was given, as the real one.

    The real one ends the process where that logger is gone; the fake remembers it.
    """

    def __init__(self, loggers: _Loggers, content: bytes) -> None:
        self._loggers, self._content = loggers, content

    def serialize(self) -> bytes:
        return self._content

    def __del__(self) -> None:
        self._loggers.log("Deleting timing cache")


class _Loggers:
    """The first logger of a library, which it does not keep alive."""

    def __init__(self) -> None:
        self._first: weakref.ref[Any] | None = None
        self.used_a_freed_one = False

    def register(self, logger: Any) -> None:
        if self._first is None:
            self._first = weakref.ref(logger)

    def log(self, text: str) -> None:
        logger = self._first() if self._first else None
        if logger is None:
            self.used_a_freed_one = True
        else:
            logger.log(_Severity.WARNING, text)


class _Config:
    def __init__(self, loggers: _Loggers) -> None:
        self.flags: list[str] = []
        self.profiles: list[_Profile] = []
        self.progress_monitor: Any = None
        self.previews: list[str] = []
        self.tactic_sources: int | None = None
        self.timings = b""
        self._loggers = loggers

    def set_flag(self, flag: str) -> None:
        self.flags.append(flag)

    def set_memory_pool_limit(self, _pool: Any, _size: int) -> None:
        pass

    def add_optimization_profile(self, profile: _Profile) -> int:
        self.profiles.append(profile)
        return 0

    def set_preview_feature(self, feature: str, _on: bool) -> None:  # noqa: FBT001 - TensorRT's own
        self.previews.append(feature)

    def set_tactic_sources(self, sources: int) -> bool:
        self.tactic_sources = sources
        return True

    def create_timing_cache(self, content: bytes) -> Any:
        self.timings = content
        return _TimingCache(self._loggers, content or b"timings")

    def set_timing_cache(self, _cache: Any, _ignore: bool) -> bool:  # noqa: FBT001 - TensorRT's own
        return True


class _Engine:
    num_io_tensors = 2

    def __init__(self, gpu: FakeGpu, queue: Any, header: dict[str, Any], graph: bytes) -> None:
        self._gpu, self._queue, self.header = gpu, queue, header
        self.contexts = 0
        self.session = open_onnx(graph, "fp32", optimise=False)
        assert self.session._session is not None
        self.classes = int(self.session._session.get_outputs()[0].shape[1])

    def get_tensor_name(self, index: int) -> str:
        return ("images", "logits")[index]

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name == "images" else "output"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name == "images":
            return (-1, *self.header["shapes"][0][1:])
        return (-1, self.classes)

    # What one context needs while it runs; only 8 bytes, which the fake does not use.
    device_memory_size = device_memory_size_v2 = 8

    def create_execution_context(self, _strategy: object = None) -> Any:
        if self.header["fault"] == "no context":
            return None
        return _Execution(self._gpu, self._queue, self)

    def create_execution_context_without_device_memory(self) -> Any:
        return self.create_execution_context()

    def create_engine_inspector(self) -> Any:
        layers = [
            {"Outputs": [{"Format/Datatype": "Int8 NC/32HW32"}]},
            {"Outputs": [{"Format/Datatype": "Half"}]},
        ]
        text = json.dumps({"Layers": layers})
        return SimpleNamespace(get_engine_information=lambda _format: text)


class _Execution:
    def __init__(self, gpu: FakeGpu, queue: Any, engine: _Engine) -> None:
        self._gpu, self._queue, self._engine = gpu, queue, engine
        self._has_profile = engine.contexts == 0 or engine.header["shares_profile"]
        engine.contexts += 1
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()

    def set_device_memory(self, address: int, size: int) -> None:
        assert address > 0
        assert size > 0

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def set_input_shape(self, _name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self._engine.header["shapes"]
        self._shape = shape
        return bool(least[0] <= shape[0] <= most[0])

    def execute_async_v3(self, stream: int) -> bool:
        is_broken = self._engine.header["fault"] == "does not run"
        if self._gpu.lost or is_broken or not self._has_profile:
            return False
        shape = self._shape
        self._queue(stream, lambda: self._run(shape))
        return True

    def _run(self, shape: tuple[int, ...]) -> None:
        self._gpu.runs.append(shape[0])
        size = int(np.prod(shape))
        images = np.ctypeslib.as_array(
            (ctypes.c_uint8 * size).from_address(self._addresses["images"])
        )
        logits = self._engine.session.infer(images.reshape(shape))
        limit = self._gpu.swapped_above
        is_wrong = self._engine.header["fault"] == "wrong labels"
        if is_wrong or (limit is not None and shape[0] > limit):
            logits[:, [0, 1]] = logits[:, [1, 0]]
        ctypes.memmove(self._addresses["logits"], logits.ctypes.data, logits.nbytes)


def install(patch: pytest.MonkeyPatch, gpu: FakeGpu, *, version: str = "10.16.1.11") -> None:
    """Make this process see a GPU with TensorRT and pycuda."""
    driver = FakeDriver(gpu)
    for module in ("edge.backends.gpu", "edge.backends.cuda"):
        patch.setattr(f"{module}.cuda_driver", lambda: driver)
    for module in ("edge.backends.select", "edge.backends.trt_select"):
        patch.setattr(f"{module}.has_driver", lambda: True)
    package: Any = ModuleType("pycuda")
    package.driver = fake_pycuda(gpu)
    patch.setitem(sys.modules, "pycuda", package)
    patch.setitem(sys.modules, "pycuda.driver", package.driver)
    patch.setitem(sys.modules, "tensorrt", fake_tensorrt(gpu, version))


def uninstalled(patch: pytest.MonkeyPatch, *names: str) -> None:
    """Make packages look as if they were not installed."""
    for name in names:
        patch.setitem(sys.modules, name, None)
        with suppress(KeyError):
            patch.delitem(sys.modules, f"{name}.driver")
