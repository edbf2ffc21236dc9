"""Drops harmless warnings that ONNX Runtime prints on import, before its log level can be set."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_CPUINFO: Final = Path("/proc/cpuinfo")
# The cpuinfo library inside ONNX Runtime prints these if it cannot read that file. ONNX Runtime
# then detects the processor with its own code, so nothing is lost.
_HARMLESS: Final = re.compile(
    rb"Error in cpuinfo: |cpuinfo_initialize failed|Failed to initialize PyTorch cpuinfo"
    rb"|Unknown CPU vendor\. cpuinfo_vendor value: 0"
)


@contextmanager
def without_cpuinfo_warnings(cpuinfo: Path = _CPUINFO) -> Iterator[None]:
    """If /proc/cpuinfo is hidden, drop those lines from stderr during the block.

    It is hidden from the hardened service (`ProcSubset=pid`). Native code writes the lines to the
    descriptor, so the descriptor is replaced during the block. Other lines are passed on after it.
    """
    if cpuinfo.exists():
        yield
        return
    try:
        stderr = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    sys.stderr.flush()
    with os.fdopen(stderr, "wb") as passed_on, os.fdopen(os.memfd_create("stderr"), "rb") as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            caught.seek(0)
            passed_on.writelines(line for line in caught if not _HARMLESS.search(line))
