from __future__ import annotations

from pathlib import Path

import pytest

from edge.bench.machine.energy import EnergyMeter, NoMeter, open_meter
from edge.bench.machine.kernel_files import KernelFiles
from tests.support.fake_nvml import fake_device
from tests.support.kernel_tree import kernel_tree

RAPL = "sys/class/powercap"
LARGEST_UJ = 262_143_328_850


def write(folder: Path, package_uj: int, dram_uj: int = 0) -> KernelFiles:
    return kernel_tree(
        folder,
        {
            f"{RAPL}/intel-rapl:0/name": "package-0\n",
            f"{RAPL}/intel-rapl:0/energy_uj": f"{package_uj}\n",
            f"{RAPL}/intel-rapl:0/max_energy_range_uj": f"{LARGEST_UJ}\n",
            f"{RAPL}/intel-rapl:0:0/name": "core\n",
            f"{RAPL}/intel-rapl:0:0/energy_uj": "999000000\n",
            f"{RAPL}/intel-rapl:0:1/name": "dram\n",
            f"{RAPL}/intel-rapl:0:1/energy_uj": f"{dram_uj}\n",
            f"{RAPL}/intel-rapl:0:1/max_energy_range_uj": f"{LARGEST_UJ}\n",
            f"{RAPL}/intel-rapl:1/name": "psys\n",
            f"{RAPL}/intel-rapl:1/energy_uj": "888000000\n",
        },
    )


def opened(files: KernelFiles) -> EnergyMeter:
    meter = open_meter(files=files)
    assert isinstance(meter, EnergyMeter)
    return meter


def test_meter_adds_packages_and_memory_and_nothing_twice(tmp_path: Path) -> None:
    meter = opened(write(tmp_path, 5_000_000, 1_000_000))
    assert meter.source == "RAPL, package and dram"
    assert meter.joules() == 0.0
    write(tmp_path, 9_000_000, 1_500_000)
    assert meter.joules() == pytest.approx(4.5)
    write(tmp_path, 10_000_000, 1_500_000)
    assert meter.joules() == pytest.approx(5.5)


def test_meter_whose_counter_starts_again_goes_on(tmp_path: Path) -> None:
    meter = opened(write(tmp_path, LARGEST_UJ - 999_999))
    write(tmp_path, 1_000_000)
    assert meter.joules() == pytest.approx(2.0)
    write(tmp_path, 3_000_000)
    assert meter.joules() == pytest.approx(4.0)


def test_meter_whose_counter_was_set_to_zero_does_not_invent_energy(tmp_path: Path) -> None:
    meter = opened(write(tmp_path, 50_000_000))
    write(tmp_path, 0)
    assert meter.joules() is None
    write(tmp_path, 1_000_000)
    assert meter.joules() is None


def test_meter_whose_counter_becomes_unreadable_says_unknown_from_then_on(tmp_path: Path) -> None:
    meter = opened(write(tmp_path, 5_000_000))
    (tmp_path / RAPL / "intel-rapl:0/energy_uj").unlink()
    assert meter.joules() is None
    write(tmp_path, 6_000_000)
    assert meter.joules() is None


def test_meter_of_a_guest_is_none_and_says_why(tmp_path: Path) -> None:
    found = open_meter(files=kernel_tree(tmp_path, {}))
    assert isinstance(found, NoMeter)
    assert found.why.startswith("the kernel shows no energy counters of the processor")


def test_meter_that_only_root_may_read_says_so(tmp_path: Path) -> None:
    # The kernel shows the file to everybody and refuses to read it.
    files = write(tmp_path, 5_000_000)
    counter = tmp_path / RAPL / "intel-rapl:0/energy_uj"
    counter.unlink()
    counter.mkdir()
    found = open_meter(files=files)
    assert isinstance(found, NoMeter)
    assert "can be read by root only" in found.why


def test_meter_of_a_gpu_counts_millijoules() -> None:
    device, library = fake_device(
        nvmlDeviceGetName="NVIDIA H100", nvmlDeviceGetTotalEnergyConsumption=7_000_000_000
    )
    meter = open_meter(gpu=True, device=device)
    assert isinstance(meter, EnergyMeter)
    assert meter.source == "NVML, NVIDIA H100"
    library.answers["nvmlDeviceGetTotalEnergyConsumption"] = 7_000_002_500
    assert meter.joules() == pytest.approx(2.5)


def test_meter_of_a_gpu_without_the_counter_says_why() -> None:
    device, _ = fake_device(nvmlDeviceGetName="GeForce GTX 1080")
    found = open_meter(gpu=True, device=device)
    assert found == NoMeter("GeForce GTX 1080 does not count its energy (GPUs do from Volta on)")
