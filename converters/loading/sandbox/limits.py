"""Limits of time, memory and file size for the child. Imports nothing that starts threads."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GIB: Final = 1024**3
# The file with the request to the child, which contains these limits.
REQUEST_NAME: Final = "request.json"


# The result of `confine` begins with this if there is no guard.
NO_GUARDS: Final = "none"


@dataclass(frozen=True, slots=True)
class Limits:
    """Time, memory and file size of the child."""

    timeout_s: float = 300.0
    # Address space, not memory: torch with its CUDA libraries maps about 10 GiB on import.
    address_space_bytes: int = 32 * GIB
    file_bytes: int = 4 * GIB


def set_limits(limits: Limits) -> None:
    """Set the limits for this process."""
    # If memory runs out, the kernel kills this process first.
    Path("/proc/self/oom_score_adj").write_text("1000")
    for what, limit in (
        (resource.RLIMIT_AS, limits.address_space_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
        # In addition to the converter's own timeout.
        (resource.RLIMIT_CPU, int(limits.timeout_s * 4) + 1),
    ):
        _, hard = resource.getrlimit(what)
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (allowed, allowed))
