"""Finds this machine's NVIDIA GPU by calls to the driver; needs no Python package."""

from __future__ import annotations

import ctypes
import re
from functools import cache
from pathlib import Path
from typing import Final

from edge.backends.trt.plan import Machine, this_os
from edge.errors import BackendError

_DRIVER_LIBRARY: Final = "libcuda.so.1"
_MAPPED_FILES: Final = Path("/proc/self/maps")
# The driver's library has the release in its file name. On a Jetson it is libcuda.so.1.1, which is
# no release.
_RELEASE: Final = re.compile(r"/libcuda\.so\.(\d{3,}\.\d+(?:\.\d+)?)$", re.MULTILINE)
# CUdevice_attribute values of the driver's interface (cuda.h).
_CAPABILITY_MAJOR: Final = 75
_CAPABILITY_MINOR: Final = 76
_NAME_BYTES: Final = 128
_ADVICE: Final = "Check nvidia-smi, or use backend onnxruntime."


def has_driver() -> bool:
    """Whether the driver's library is there. Does not access the GPU, which might hang."""
    try:
        ctypes.CDLL(_DRIVER_LIBRARY)
    except OSError:
        return False
    return True


@cache
def cuda_driver() -> ctypes.CDLL:
    """The driver's library, initialised.

    Raises:
        BackendError: there is none, or it finds no GPU.
    """
    try:
        driver = ctypes.CDLL(_DRIVER_LIBRARY)
    except OSError as error:
        raise BackendError(
            f"no NVIDIA driver ({_DRIVER_LIBRARY} cannot be loaded). {_ADVICE}"
        ) from error
    _check(driver, driver.cuInit(0), "cuInit")
    count = ctypes.c_int()
    _check(driver, driver.cuDeviceGetCount(ctypes.byref(count)), "cuDeviceGetCount")
    if count.value < 1:
        raise BackendError(f"the NVIDIA driver sees no GPU. {_ADVICE}")
    return driver


def find_machine() -> Machine:
    """Facts about the first GPU; CUDA_VISIBLE_DEVICES can change which one is first.

    Raises:
        BackendError: there is none.
    """
    driver = cuda_driver()
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    _check(driver, driver.cuDeviceGet(ctypes.byref(device), 0), "cuDeviceGet")
    _check(driver, driver.cuDeviceGetName(name, _NAME_BYTES, device), "cuDeviceGetName")
    major = _attribute(driver, _CAPABILITY_MAJOR, device)
    minor = _attribute(driver, _CAPABILITY_MINOR, device)
    return Machine(
        gpu=name.value.decode(errors="replace"),
        compute_capability=f"{major}.{minor}",
        driver=_driver_release(driver),
        os=this_os(),
    )


def check(status: int, step: str) -> None:
    """Raise if a call of the driver failed.

    Raises:
        BackendError: with the driver's name of the error.
    """
    _check(cuda_driver(), status, step)


def _check(driver: ctypes.CDLL, status: int, step: str) -> None:
    if status == 0:
        return
    text = ctypes.c_char_p()
    known = driver.cuGetErrorName(status, ctypes.byref(text)) == 0 and text.value
    name = text.value.decode() if known and text.value else f"error {status}"
    raise BackendError(f"the NVIDIA driver failed at {step}: {name}. {_ADVICE}")


def _attribute(driver: ctypes.CDLL, which: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    status = driver.cuDeviceGetAttribute(ctypes.byref(value), which, device)
    _check(driver, status, "cuDeviceGetAttribute")
    return value.value


def _driver_release(driver: ctypes.CDLL) -> str:
    """The driver's release, such as 550.54.14; on a Jetson its CUDA version."""
    # /proc/driver/nvidia/version has it too, but is hidden from the hardened service
    # (`ProcSubset=pid`). With another release there, service and commands would not share engines.
    if found := _RELEASE.search(_MAPPED_FILES.read_text(errors="replace")):
        return found[1]
    version = ctypes.c_int()
    _check(driver, driver.cuDriverGetVersion(ctypes.byref(version)), "cuDriverGetVersion")
    return f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
