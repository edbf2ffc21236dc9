"""Replaces the NVIDIA driver, pycuda and TensorRT by code that runs on the CPU.

`fake_tensorrt` stands for the library: its plan holds the ONNX graph, which ONNX Runtime computes
in place of the GPU. `FakeDriver` and `fake_pycuda` stand for driver and memory. Work that is queued
into a stream runs when the stream is synchronised, as on a GPU: whoever reads results earlier, or
reuses a buffer too early, gets wrong ones.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest

from tests.support.fake_gpu.device import (
    DAMAGED_TIMINGS,
    FAULTS,
    FakeDriver,
    FakeGpu,
    fake_pycuda,
)
from tests.support.fake_gpu.engine import Engine
from tests.support.fake_gpu.library import fake_tensorrt

__all__ = ("DAMAGED_TIMINGS", "FAULTS", "Engine", "FakeGpu", "install", "uninstalled")


def install(patch: pytest.MonkeyPatch, gpu: FakeGpu, *, version: str = "10.16.1.11") -> None:
    """Make this process see a GPU with TensorRT and pycuda."""
    driver = FakeDriver(gpu)
    for module in ("edge.backends.trt.gpu", "edge.backends.trt.cuda"):
        patch.setattr(f"{module}.cuda_driver", lambda: driver)
    for module in ("edge.backends.select", "edge.backends.trt.select"):
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
