"""What ONNX Runtime says while it is loaded, before it has a log whose level could be set."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_CPUINFO: Final = Path("/proc/cpuinfo")
# Its library for facts about the processor reads that file and nothing else. ONNX Runtime then
# asks the processor itself and loses nothing, so that these lines tell of no fault.
_NEEDLESS: Final = re.compile(
    rb"Error in cpuinfo: |cpuinfo_initialize failed|Failed to initialize PyTorch cpuinfo"
    rb"|Unknown CPU vendor\. cpuinfo_vendor value: 0"
)


@contextmanager
def without_cpuinfo_warnings(cpuinfo: Path = _CPUINFO) -> Iterator[None]:
    """Drop these lines from stderr during the block, where the file is hidden; pass on all others.

    The hardened service sees no /proc/cpuinfo (`ProcSubset=pid`). The lines are written by native
    code, so that the descriptor itself is replaced for the time of the block.
    """
    if cpuinfo.exists():
        yield
        return
    try:
        stderr = os.dup(2)
    except OSError:  # closed: nobody reads
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
            passed_on.writelines(line for line in caught if not _NEEDLESS.search(line))
