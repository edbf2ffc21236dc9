"""Facts about the machine on which a measurement ran, for the report."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_PACKAGES: Final = ("numpy", "onnxruntime", "opencv-python-headless", "simplejpeg")
# Instruction sets that multiply 8-bit integers into 32 bits.
_INT8_INSTRUCTIONS: Final = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp")


def environment() -> dict[str, str | int]:
    """Processor, cores this process may use, INT8 instructions, system and library versions."""
    facts = _cpu_facts()
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    known = [name for name in _INT8_INSTRUCTIONS if name in flags]
    return {
        "cpu": facts.get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "int8_instructions": " ".join(known) or "none",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **_versions(),
    }


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def _cpu_facts() -> dict[str, str]:
    """The first processor's entry in /proc/cpuinfo, empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return {}
    first = text.split("\n\n", maxsplit=1)[0]
    pairs = (line.split(":", maxsplit=1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
