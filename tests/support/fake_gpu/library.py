"""TensorRT on the CPU: parser, builder and runtime. Its plan holds the ONNX graph."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

from edge.backends.onnx import open_onnx
from tests.support.fake_gpu.device import DAMAGED_TIMINGS, FakeGpu, Work
from tests.support.fake_gpu.engine import Engine

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
                return Engine(gpu, queue, {**json.loads(header), "fault": fault}, graph)
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
        session = open_onnx(self.graph, "fp32", optimise=False)._session  # noqa: SLF001 - shapes of the graph
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
