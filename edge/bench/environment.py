"""What a measurement ran on; a latency without it means nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_PACKAGES: Final = ("numpy", "onnxruntime", "opencv-python-headless", "simplejpeg")
# Instruction sets that multiply 8-bit integers: without one of them INT8 gains little.
_INT8_FLAGS: Final = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp")


def environment() -> dict[str, str | int]:
    """Processor, cores this process may use, INT8 instructions, system and library versions."""
    cpu = _cpu_facts()
    return {
        "cpu": cpu.get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "int8_instructions": " ".join(f for f in _INT8_FLAGS if f in _cpu_flags(cpu)) or "none",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **_versions(),
    }


def _cpu_facts() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return {}
    first = text.split("\n\n", maxsplit=1)[0]
    pairs = (line.split(":", maxsplit=1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _cpu_flags(cpu: dict[str, str]) -> set[str]:
    return set((cpu.get("flags") or cpu.get("Features") or "").split())


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    return found
