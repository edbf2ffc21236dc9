"""What a measurement ran on; a latency without it means nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from edge.backends.cpu import cpu_facts, int8_instructions

_PACKAGES: Final = ("numpy", "onnxruntime", "opencv-python-headless", "simplejpeg")


def environment() -> dict[str, str | int]:
    """Processor, cores this process may use, INT8 instructions, system and library versions."""
    return {
        "cpu": cpu_facts().get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "int8_instructions": " ".join(int8_instructions()) or "none",
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
