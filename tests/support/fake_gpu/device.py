"""The NVIDIA driver and pycuda on the CPU: memory, streams, graphs."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

ILLEGAL_ADDRESS = 700
# How a plan that loads on paper fails: see `Engine` and `Runtime`.
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
    """The part of pycuda.driver that `edge.backends.trt.cuda` uses."""

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
