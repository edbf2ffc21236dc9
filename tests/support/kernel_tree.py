"""Writes trees that look like /proc and /sys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge.bench.machine.kernel_files import KernelFiles


def kernel_tree(folder: Path, contents: Mapping[str, str]) -> KernelFiles:
    """Files by names such as `proc/stat`; what is not named is missing."""
    files = KernelFiles(folder / "proc", folder / "sys")
    for root in (files.proc, files.sys):
        root.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return files
