"""Restricts this process by the guards that the kernel offers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from converters.loading.sandbox import landlock, seccomp
from converters.loading.sandbox.limits import NO_GUARDS
from converters.loading.sandbox.readable import WRITABLE_DEVICE, readable_paths
from edge.system import kernel


def confine(folder: Path) -> str:
    """Deny this process writes outside `folder`, network access and new processes.

    Returns:
        The active guards, such as "Landlock 7, seccomp", or "none"; then, in brackets, guards
        that the kernel refused.
    """
    guards: list[tuple[str, Callable[[], str]]] = [
        ("Landlock", lambda: landlock.restrict(readable_paths(), [folder, WRITABLE_DEVICE])),
        ("seccomp", seccomp.restrict),
    ]
    in_force, missing = [], []
    for name, restrict in guards:
        try:
            # Each guard requires it; calling it twice is harmless.
            kernel.forbid_new_privileges()
            in_force.append(restrict())
        except OSError as error:
            missing.append(f"no {name}: {error.strerror}")
    why = f" ({'; '.join(missing)})" if missing else ""
    return (", ".join(in_force) or NO_GUARDS) + why
