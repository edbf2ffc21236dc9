"""Stands in for NVML's library: functions that answer from a table, through ctypes pointers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from edge.bench.machine.nvml import Device, open_device

_NOT_SUPPORTED = 3


class FakeNvml:
    """Functions that are not in the table are missing, as in an older library."""

    def __init__(self, **answers: int | str | None) -> None:
        self.answers = answers
        self._functions: dict[str, Any] = {
            "nvmlInit_v2": ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 0),
            "nvmlDeviceGetHandleByIndex_v2": ctypes.CFUNCTYPE(
                ctypes.c_int, ctypes.c_uint, ctypes.c_void_p
            )(lambda _index, _handle: 0),
        }

    def __getattr__(self, name: str) -> Any:
        if name in self._functions:
            return self._functions[name]
        if name not in self.answers:
            raise AttributeError(name)
        return self._function(name)

    def _function(self, name: str) -> Callable[..., int]:
        def ask(*arguments: Any) -> int:
            answer = self.answers[name]
            if answer is None:
                return _NOT_SUPPORTED
            if isinstance(answer, str):
                # (handle, text, size), or (text, size).
                arguments[-2].value = answer.encode()
                return 0
            wide = name in {"nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetMemoryInfo"}
            type_: Any = ctypes.c_ulonglong if wide else ctypes.c_uint
            # Of the two modes of ECC the first is the current one.
            place = arguments[-2] if name == "nvmlDeviceGetEccMode" else arguments[-1]
            ctypes.cast(place, ctypes.POINTER(type_))[0] = answer
            return 0

        return ask


def fake_device(**answers: int | str | None) -> tuple[Device, FakeNvml]:
    """The GPU of such a library; change the table to change what it answers."""
    library = FakeNvml(**answers)
    device = open_device(library)
    assert device is not None
    return device, library
