"""What the child may use of the machine. Imports nothing that starts threads."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GIB: Final = 1024**3
# The file in the folder that crosses to the child, with these limits in it.
REQUEST_NAME: Final = "request.json"


# How `confine` begins where there is no guard.
NO_GUARDS: Final = "none"


@dataclass(frozen=True, slots=True)
class Limits:
    """Time, memory and file size of the child."""

    timeout_s: float = 300.0
    # Address space, not memory: torch with its CUDA libraries maps some 10 GiB at import.
    address_space_bytes: int = 32 * GIB
    file_bytes: int = 4 * GIB


def set_limits(limits: Limits) -> None:
    """Set them on this process."""
    # If memory runs out all the same, this process is the one to be killed.
    Path("/proc/self/oom_score_adj").write_text("1000")
    for what, limit in (
        (resource.RLIMIT_AS, limits.address_space_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
        # A second end beside the converter's own clock.
        (resource.RLIMIT_CPU, int(limits.timeout_s * 4) + 1),
    ):
        _, hard = resource.getrlimit(what)
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (allowed, allowed))
