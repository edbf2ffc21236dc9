"""Asks the NVIDIA driver's management library about a GPU; needs no Python package.

Names and numbers are those of nvml.h. Every question has an answer or None: guests and small boards
lack many of the counters.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

_LIBRARY: Final = "libnvidia-ml.so.1"
_TEXT_BYTES: Final = 96
_CLOCK_SM: Final = 1
_CLOCK_MEMORY: Final = 2
_TEMPERATURE_GPU: Final = 0
# Bits of the clock event reasons that mean slower than it could: software and hardware thermal
# slowdown, hardware slowdown, power brake, software power cap.
POWER_CAP: Final = "power cap"
_SLOWED: Final = {
    0x04: POWER_CAP,
    0x08: "hardware slowdown",
    0x20: "thermal slowdown",
    0x40: "thermal slowdown by hardware",
    0x80: "power brake",
}


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as its driver describes it; None where it does not say."""

    name: str
    driver: str | None
    sm_clock_mhz: int | None
    max_sm_clock_mhz: int | None
    memory_clock_mhz: int | None
    memory_bytes: int | None
    power_limit_w: float | None
    ecc: bool | None
    temperature_c: int | None


class _Memory(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class Device:
    """The first GPU that NVML sees, which is also CUDA's unless CUDA_VISIBLE_DEVICES says more."""

    def __init__(self, library: Any, handle: ctypes.c_void_p) -> None:
        self._library = library
        self._handle = handle

    def name(self) -> str | None:
        """Such as `NVIDIA H100 80GB HBM3`."""
        text = ctypes.create_string_buffer(_TEXT_BYTES)
        known = self._ask("nvmlDeviceGetName", text, ctypes.c_uint(_TEXT_BYTES))
        return text.value.decode(errors="replace") if known else None

    def driver(self) -> str | None:
        """The driver's release."""
        text = ctypes.create_string_buffer(_TEXT_BYTES)
        function = getattr(self._library, "nvmlSystemGetDriverVersion", None)
        if function is None or function(text, ctypes.c_uint(_TEXT_BYTES)) != 0:
            return None
        return text.value.decode(errors="replace")

    def memory_bytes(self) -> int | None:
        """All of its memory."""
        memory = _Memory()
        known = self._ask("nvmlDeviceGetMemoryInfo", ctypes.byref(memory))
        return int(memory.total) if known else None

    def ecc(self) -> bool | None:
        """Whether its memory corrects errors."""
        current, pending = ctypes.c_int(), ctypes.c_int()
        known = self._ask("nvmlDeviceGetEccMode", ctypes.byref(current), ctypes.byref(pending))
        return bool(current.value) if known else None

    def clock_mhz(self, clock: int) -> int | None:
        """The frequency now."""
        return self._number("nvmlDeviceGetClockInfo", clock)

    def max_clock_mhz(self, clock: int) -> int | None:
        """The highest frequency it may have."""
        return self._number("nvmlDeviceGetMaxClockInfo", clock)

    def temperature_c(self) -> int | None:
        """The chip's temperature."""
        return self._number("nvmlDeviceGetTemperature", _TEMPERATURE_GPU)

    def power_limit_w(self) -> float | None:
        """What it may draw."""
        milliwatts = self._number("nvmlDeviceGetEnforcedPowerLimit")
        return None if milliwatts is None else milliwatts / 1000

    def energy_mj(self) -> int | None:
        """Millijoules since the driver was loaded; GPUs before Volta do not count."""
        return self._number("nvmlDeviceGetTotalEnergyConsumption", type_=ctypes.c_ulonglong)

    def slowed_by(self) -> tuple[str, ...]:
        """Why its clocks are lower than they could be, now."""
        bits = self._number("nvmlDeviceGetCurrentClocksThrottleReasons", type_=ctypes.c_ulonglong)
        return tuple(name for bit, name in _SLOWED.items() if (bits or 0) & bit)

    def facts(self) -> Gpu:
        """What the report says of it."""
        return Gpu(
            name=self.name() or "NVIDIA GPU without a name",
            driver=self.driver(),
            sm_clock_mhz=self.clock_mhz(_CLOCK_SM),
            max_sm_clock_mhz=self.max_clock_mhz(_CLOCK_SM),
            memory_clock_mhz=self.clock_mhz(_CLOCK_MEMORY),
            memory_bytes=self.memory_bytes(),
            power_limit_w=self.power_limit_w(),
            ecc=self.ecc(),
            temperature_c=self.temperature_c(),
        )

    def _number(self, function: str, *which: int, type_: Any = ctypes.c_uint) -> int | None:
        value = type_()
        arguments = [ctypes.c_int(one) for one in which]
        return int(value.value) if self._ask(function, *arguments, ctypes.byref(value)) else None

    def _ask(self, function: str, *arguments: Any) -> bool:
        # A library older than the function lacks it.
        ask = getattr(self._library, function, None)
        return ask is not None and ask(self._handle, *arguments) == 0


def open_device(library: Any) -> Device | None:
    """The first GPU of a loaded library; None if there is none."""
    if library.nvmlInit_v2() != 0:
        return None
    handle = ctypes.c_void_p()
    if library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(0), ctypes.byref(handle)) != 0:
        return None
    return Device(library, handle)


@cache
def find_device() -> Device | None:
    """This machine's first GPU; None without a driver. The library stays loaded."""
    try:
        return open_device(ctypes.CDLL(_LIBRARY))
    except (OSError, AttributeError):
        return None


def find_gpu() -> Gpu | None:
    """Facts about this machine's first GPU; None if it has none."""
    device = find_device()
    return device.facts() if device else None
