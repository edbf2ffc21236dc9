"""The GPU's memory, stream and graphs, through pycuda.

pycuda has no CUDA graphs; those few calls go to the driver itself.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import DTypeLike, NDArray

from edge.backends.trt.gpu import check, cuda_driver
from edge.errors import BackendError, DeviceError
from edge.system.installation import install_command

# CUstreamCaptureMode (cuda.h): other threads may go on using the driver during a capture.
_CAPTURE_THREAD_LOCAL: Final = 1


@dataclass(frozen=True, slots=True)
class Buffer:
    """Page-locked host memory and device memory of the same size."""

    host: NDArray[Any]
    device: Any

    @property
    def address(self) -> int:
        """Of the device memory."""
        return int(self.device)

    def free(self) -> None:
        """Free both. The host array must not be used any more."""
        self.device.free()
        self.host.base.free()  # type: ignore[union-attr]


class Device:
    """The first GPU: its primary context and one stream.

    Everything but `close` needs the context to be current: call it in a `with device.current()`
    block. One thread at a time.
    """

    def __init__(self) -> None:
        cuda_driver()
        try:
            import pycuda.driver as pycuda
        except (ImportError, OSError) as error:
            raise BackendError(
                f"pycuda cannot be loaded ({error}). {install_command('gpu')} (it needs "
                "the CUDA toolkit to compile), or use backend onnxruntime."
            ) from error
        self._pycuda = pycuda
        try:
            pycuda.init()
            # The primary context is the one that TensorRT uses too.
            self._context: Any = pycuda.Device(0).retain_primary_context()
        except pycuda.Error as error:
            raise BackendError(f"the GPU cannot be used: {_text(error)}.") from error
        with self.current():
            self._stream: Any = pycuda.Stream()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current in the calling thread.

        Raises:
            DeviceError: the GPU failed in the block, or before and is only noticed now.
        """
        pycuda = self._pycuda
        try:
            self._context.push()
            try:
                yield
            finally:
                pycuda.Context.pop()
        except pycuda.Error as error:
            raise DeviceError(
                f"the GPU failed: {_text(error)}. See dmesg for lines of NVRM."
            ) from error

    @property
    def stream(self) -> int:
        """The stream's handle, as TensorRT takes it."""
        return int(self._stream.handle)

    def buffer(self, shape: tuple[int, ...], dtype: DTypeLike) -> Buffer:
        """Memory for one tensor, zeros on the host."""
        host = self._pycuda.pagelocked_zeros(shape, dtype)
        try:
            return Buffer(host, self.allocate(host.nbytes))
        except self._pycuda.Error:
            host.base.free()
            raise

    def allocate(self, size_bytes: int) -> Any:
        """Device memory; `int()` of it is its address, `free()` gives it back."""
        return self._pycuda.mem_alloc(size_bytes)

    def copy_in(self, buffer: Buffer, count: int) -> None:
        """Queue the copy of the first `count` rows to the device."""
        self._pycuda.memcpy_htod_async(buffer.device, buffer.host[:count], self._stream)

    def copy_out(self, buffer: Buffer, count: int) -> None:
        """Queue the copy of the first `count` rows to the host."""
        self._pycuda.memcpy_dtoh_async(buffer.host[:count], buffer.device, self._stream)

    def synchronise(self) -> None:
        """Wait until everything that was queued is done."""
        self._stream.synchronize()

    def capture(self, queue: Callable[[], None]) -> Graph:
        """What `queue` puts into the stream, as one graph; nothing runs yet.

        Raises:
            BackendError: something in it cannot be captured.
        """
        driver, stream = cuda_driver(), ctypes.c_void_p(self.stream)
        captured = ctypes.c_void_p()
        check(driver.cuStreamBeginCapture_v2(stream, _CAPTURE_THREAD_LOCAL), "cuStreamBeginCapture")
        try:
            queue()
        finally:
            # An unfinished capture would poison the stream.
            status = driver.cuStreamEndCapture(stream, ctypes.byref(captured))
        check(status, "cuStreamEndCapture")
        executable = ctypes.c_void_p()
        flags = ctypes.c_ulonglong(0)
        try:
            check(
                driver.cuGraphInstantiateWithFlags(ctypes.byref(executable), captured, flags),
                "cuGraphInstantiate",
            )
        finally:
            driver.cuGraphDestroy(captured)
        return Graph(executable)

    def launch(self, graph: Graph) -> None:
        """Queue a graph.

        Raises:
            DeviceError: the GPU failed.
        """
        try:
            stream = ctypes.c_void_p(self.stream)
            check(cuda_driver().cuGraphLaunch(graph.executable, stream), "cuGraphLaunch")
        except BackendError as error:
            raise DeviceError(str(error)) from error

    def used_bytes(self) -> int:
        """Memory in use on the whole device, by all processes."""
        free, total = self._pycuda.mem_get_info()
        return int(total - free)

    def close(self) -> None:
        """Give the context back. What was allocated must be freed before; may be called twice."""
        if self._context is None:
            return
        # After a fault of the GPU the driver refuses this too, and the memory is gone anyway.
        with suppress(self._pycuda.Error):
            # pycuda detaches a context that is current, in any other state it keeps it silently.
            self._context.push()
            self._stream = None
            self._context.detach()
        self._context = None


@dataclass(frozen=True, slots=True)
class Graph:
    """An instantiated CUDA graph."""

    executable: ctypes.c_void_p

    def close(self) -> None:
        """Free it. The driver's answer does not matter: there is nothing else to be done."""
        cuda_driver().cuGraphExecDestroy(self.executable)


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
