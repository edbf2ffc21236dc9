"""Counts the energy that processor or GPU has taken, where the machine has a counter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.bench.machine.kernel_files import KernelFiles, folders, number_of, text_of
from edge.bench.machine.nvml import Device, find_device

# Zones of the powercap tree that do not contain each other. `psys` is the whole board, and `core`
# and `uncore` are parts of a package; memory is beside it.
_ZONES: Final = ("package", "dram")


@dataclass(frozen=True, slots=True)
class NoMeter:
    """Energy is not counted here, and the reason in a line."""

    why: str


class Counter:
    """One counter that only grows and starts again from 0 after its largest value.

    Args:
        read: the value now; None if it cannot be read any more.
        largest: the last value before 0; None if it never starts again.
        joules_per_unit: what one step of it stands for.
    """

    def __init__(
        self, read: Callable[[], int | None], largest: int | None, joules_per_unit: float
    ) -> None:
        self._read = read
        self._largest = largest
        self._joules_per_unit = joules_per_unit
        self._last = read()
        self._units = 0

    def joules(self) -> float | None:
        """Since it was made; None if it could not be read throughout.

        It must be asked at least twice in each round of the counter, which lasts longer than ten
        minutes for a package at full power. A longer step is taken for a counter that was set to 0
        by a sleep of the machine, and the energy is then unknown.
        """
        now = self._read()
        if now is None or self._last is None:
            self._last = None
            return None
        step = now - self._last
        if step < 0 and self._largest:
            step += self._largest + 1
        if step < 0 or (self._largest and step > self._largest // 2):
            self._last = None
            return None
        self._units += step
        self._last = now
        return self._units * self._joules_per_unit


class EnergyMeter:
    """Counts of all of a machine's processors, or of one GPU; others who use them count too."""

    def __init__(self, source: str, counters: list[Counter]) -> None:
        self.source = source
        self._counters = counters

    def joules(self) -> float | None:
        """Since the meter was opened; None if a counter has become unreadable."""
        counts = [counter.joules() for counter in self._counters]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None


def open_meter(
    *, gpu: bool = False, files: KernelFiles | None = None, device: Device | None = None
) -> EnergyMeter | NoMeter:
    """A meter of the processors, or of the first GPU.

    Args:
        gpu: count the GPU's energy; the processors' is not in it.
        files: where the kernel's files are.
        device: the GPU, if it is another than the first.
    """
    if gpu:
        return _gpu_meter(device or find_device())
    return _processor_meter(files or KernelFiles())


def _gpu_meter(device: Device | None) -> EnergyMeter | NoMeter:
    if device is None:
        return NoMeter("the NVIDIA driver shows no GPU, so its energy is not known")
    if device.energy_mj() is None:
        return NoMeter(f"{device.name()} does not count its energy (GPUs do from Volta on)")
    return EnergyMeter(f"NVML, {device.name()}", [Counter(device.energy_mj, None, 1e-3)])


def _processor_meter(files: KernelFiles) -> EnergyMeter | NoMeter:
    tree = files.sys / "class/powercap"
    zones = [zone for zone in folders(tree, "intel-rapl:*") if _kind(zone).startswith(_ZONES)]
    if not zones:
        return NoMeter(
            "the kernel shows no energy counters of the processor (/sys/class/powercap); guests "
            "and containers have none"
        )
    if any(number_of(zone / "energy_uj") is None for zone in zones):
        return NoMeter(
            f"{zones[0]}/energy_uj can be read by root only. Run as root, or let the group that "
            "measures read it."
        )
    names = sorted({_kind(zone).partition("-")[0] for zone in zones}, reverse=True)
    return EnergyMeter(f"RAPL, {' and '.join(names)}", [_counter(zone) for zone in zones])


def _counter(zone: Path) -> Counter:
    return Counter(
        lambda: number_of(zone / "energy_uj"), number_of(zone / "max_energy_range_uj"), 1e-6
    )


def _kind(zone: Path) -> str:
    return text_of(zone / "name") or ""
