"""Put this process under the guards that the kernel has, and say which these are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from converters.loading.sandbox import landlock, seccomp
from converters.loading.sandbox.limits import NO_GUARDS
from converters.loading.sandbox.readable import WRITABLE_DEVICE, readable_paths
from edge.system import kernel


def confine(folder: Path) -> str:
    """Nothing is written outside of `folder`, no network, no new process.

    Returns:
        The guards in force, such as "Landlock 7, seccomp"; "none" where there are none. What
        the kernel refused stands behind it in brackets.
    """
    guards: list[tuple[str, Callable[[], str]]] = [
        ("Landlock", lambda: landlock.restrict(readable_paths(), [folder, WRITABLE_DEVICE])),
        ("seccomp", seccomp.restrict),
    ]
    in_force, missing = [], []
    for name, restrict in guards:
        try:
            # Each guard needs it, and setting it twice is once.
            kernel.forbid_new_privileges()
            in_force.append(restrict())
        except OSError as error:
            missing.append(f"no {name}: {error.strerror}")
    why = f" ({'; '.join(missing)})" if missing else ""
    return (", ".join(in_force) or NO_GUARDS) + why
