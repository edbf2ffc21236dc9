from __future__ import annotations

import ctypes

from edge.bench.machine.conditions import watch
from edge.bench.machine.nvml import Gpu, find_device, find_gpu, open_device
from tests.support.fake_nvml import FakeNvml, fake_device


def test_gpu_facts_are_those_of_the_driver() -> None:
    device, _ = fake_device(
        nvmlDeviceGetName="NVIDIA RTX A2000",
        nvmlSystemGetDriverVersion="550.54.14",
        nvmlDeviceGetClockInfo=1200,
        nvmlDeviceGetMaxClockInfo=2100,
        nvmlDeviceGetMemoryInfo=12 << 30,
        nvmlDeviceGetEccMode=1,
        nvmlDeviceGetEnforcedPowerLimit=70_000,
        nvmlDeviceGetTemperature=61,
    )
    assert device.facts() == Gpu(
        name="NVIDIA RTX A2000",
        driver="550.54.14",
        sm_clock_mhz=1200,
        max_sm_clock_mhz=2100,
        memory_clock_mhz=1200,
        memory_bytes=12 << 30,
        power_limit_w=70.0,
        ecc=True,
        temperature_c=61,
    )


def test_gpu_that_answers_little_has_facts_that_are_unknown() -> None:
    # ECC is not supported, the others are missing from the library.
    device, _ = fake_device(nvmlDeviceGetEccMode=None)
    found = device.facts()
    assert found.name == "NVIDIA GPU without a name"
    assert found.ecc is None
    assert found.sm_clock_mhz is None
    assert device.slowed_by() == ()


def test_gpu_slowed_down_says_by_what_and_an_idle_one_does_not() -> None:
    # Bit 0: the GPU is idle, which is no fault.
    device, library = fake_device(nvmlDeviceGetCurrentClocksThrottleReasons=0x01)
    assert device.slowed_by() == ()
    library.answers["nvmlDeviceGetCurrentClocksThrottleReasons"] = 0x01 | 0x04 | 0x20
    assert device.slowed_by() == ("power cap", "thermal slowdown")


def test_gpu_slowed_down_at_one_look_is_a_reason_of_the_watch() -> None:
    device, library = fake_device(nvmlDeviceGetCurrentClocksThrottleReasons=0x20)
    with watch(gpu=device) as watched:
        watched.look()
        library.answers["nvmlDeviceGetCurrentClocksThrottleReasons"] = 0
    assert "the GPU was slowed down by: thermal slowdown" in watched.conditions().disqualifying()


def test_device_of_a_driver_that_does_not_start_is_none() -> None:
    library = FakeNvml()
    failing = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 9)
    library.__dict__["nvmlInit_v2"] = failing
    assert open_device(library) is None


def test_gpu_of_this_machine_is_what_its_device_says() -> None:
    device = find_device()
    assert (find_gpu() is None) == (device is None)
