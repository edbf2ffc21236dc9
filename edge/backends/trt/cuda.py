"""The GPU's memory, stream and CUDA graphs, through pycuda.

pycuda has no CUDA graphs, so those calls go directly to the driver.
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

# CUstreamCaptureMode (cuda.h): other threads may use the driver during a capture.
_CAPTURE_THREAD_LOCAL: Final = 1


@dataclass(frozen=True, slots=True)
class Buffer:
    """Page-locked host memory and device memory of the same size."""

    host: NDArray[Any]
    device: Any

    @property
    def address(self) -> int:
        """The address of the device memory."""
        return int(self.device)

    def free(self) -> None:
        """Free both. The host array must not be used afterwards."""
        self.device.free()
        self.host.base.free()  # type: ignore[union-attr]


class Device:
    """The first GPU: its primary context and one stream.

    Call all methods except `close` in a `with device.current()` block, which makes the context
    current. One thread at a time.
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
            # The primary context, because TensorRT uses it as well.
            self._context: Any = pycuda.Device(0).retain_primary_context()
        except pycuda.Error as error:
            raise BackendError(f"the GPU cannot be used: {_text(error)}.") from error
        with self.current():
            self._stream: Any = pycuda.Stream()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current in the calling thread.

        Raises:
            DeviceError: the GPU failed in the block, or failed before and reports it only now.
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
        """The stream's handle, for TensorRT."""
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
        """Allocate device memory. `int()` of the result is its address, `free()` releases it."""
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
        """Record the work that `queue` puts into the stream as one graph, without running it.

        Raises:
            BackendError: something in it cannot be captured.
        """
        driver, stream = cuda_driver(), ctypes.c_void_p(self.stream)
        captured = ctypes.c_void_p()
        check(driver.cuStreamBeginCapture_v2(stream, _CAPTURE_THREAD_LOCAL), "cuStreamBeginCapture")
        try:
            queue()
        finally:
            # A stream with an unfinished capture cannot be used.
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
        """Release the context. Free all memory before; may be called twice."""
        if self._context is None:
            return
        # After a GPU failure the driver refuses this too; the memory is lost in any case.
        with suppress(self._pycuda.Error):
            # pycuda detaches only a current context; otherwise it does nothing, without an error.
            self._context.push()
            self._stream = None
            self._context.detach()
        self._context = None


@dataclass(frozen=True, slots=True)
class Graph:
    """An instantiated CUDA graph."""

    executable: ctypes.c_void_p

    def close(self) -> None:
        """Free it. The driver's status is ignored: nothing could be done about an error."""
        cuda_driver().cuGraphExecDestroy(self.executable)


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
