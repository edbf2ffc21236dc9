"""Facts about the machine on which a measurement ran, for the report."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from edge.bench.machine.container import container, cpu_quota
from edge.bench.machine.kernel_files import KernelFiles, number_of, pairs, text_of
from edge.bench.machine.nvml import Gpu, find_gpu

_PACKAGES: Final = ("numpy", "onnxruntime", "opencv-python-headless", "simplejpeg")
# Instruction sets that multiply 8-bit integers into 32 bits.
_INT8_INSTRUCTIONS: Final = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine and the software; None where the kernel does not say, as in most guests.

    Args:
        cores: those that this process may use; `cores_online` are all of the machine.
        cpu_quota: cores whose time a container or a unit may take; None without a limit.
        frequency_mhz: of the fastest core, when it was looked at.
        packages: versions by the name of the distribution.
    """

    cpu: str
    cores: int
    cores_online: int
    cpu_quota: float | None
    int8_instructions: tuple[str, ...]
    frequency_governor: str | None
    frequency_mhz: int | None
    turbo: bool | None
    memory_bytes: int | None
    system: str
    virtualised: bool | None
    container: str | None
    python: str
    packages: Mapping[str, str]
    gpu: Gpu | None

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        fields = {**asdict(self), "int8_instructions": list(self.int8_instructions)}
        return {**fields, "packages": dict(self.packages)}


def environment(files: KernelFiles | None = None, *, packages: tuple[str, ...] = ()) -> Environment:
    """What is known of this machine.

    Args:
        files: where the kernel's files are.
        packages: distributions whose versions matter too, such as a back end that was compared.
    """
    files = files or KernelFiles()
    facts = _cpu_facts(files)
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    cpu = files.sys / "devices/system/cpu"
    return Environment(
        cpu=facts.get("model name") or _board(files) or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        cores_online=os.cpu_count() or 1,
        cpu_quota=cpu_quota(files),
        int8_instructions=tuple(name for name in _INT8_INSTRUCTIONS if name in flags),
        frequency_governor=text_of(cpu / "cpu0/cpufreq/scaling_governor"),
        frequency_mhz=frequency_mhz(files),
        turbo=_turbo(cpu),
        memory_bytes=_memory_bytes(),
        system=f"{platform.system()} {platform.release()}",
        virtualised="hypervisor" in flags if flags else None,
        container=container(),
        python=platform.python_version(),
        packages={name: _version(name) for name in (*_PACKAGES, *packages)},
        gpu=find_gpu(),
    )


def frequency_mhz(files: KernelFiles) -> int | None:
    """Of the core that runs fastest now, among those that this process may use."""
    cpu = files.sys / "devices/system/cpu"
    khz = [
        number_of(cpu / f"cpu{core}/cpufreq/scaling_cur_freq") for core in os.sched_getaffinity(0)
    ]
    known = [value for value in khz if value]
    return round(max(known) / 1000) if known else None


def _turbo(cpu: Path) -> bool | None:
    if (boost := number_of(cpu / "cpufreq/boost")) is not None:
        return boost == 1
    if (no_turbo := number_of(cpu / "intel_pstate/no_turbo")) is not None:
        return no_turbo == 0
    return None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"


def _board(files: KernelFiles) -> str | None:
    """The board's name on machines with ARM processors, whose cpuinfo has no model."""
    text = text_of(files.proc / "device-tree/model")
    return text.rstrip("\0") if text else None


def _cpu_facts(files: KernelFiles) -> dict[str, str]:
    """The first processor's entry in /proc/cpuinfo, empty where there is none."""
    text = text_of(files.proc / "cpuinfo")
    return pairs((text or "").split("\n\n", maxsplit=1)[0], ":")
