"""Compute capabilities for which an engine can be built without that GPU."""

from __future__ import annotations

from edge.backends.trt.library import Library
from edge.errors import BackendError


def known_targets(library: Library) -> tuple[str, ...]:
    """Compute capabilities for which this library builds on any machine, such as `8.6`."""
    members = getattr(library.module, "ComputeCapability", None)
    names = [name for name in dir(members) if name.startswith("SM")] if members else []
    return tuple(sorted((capability_of(name) for name in names), key=_numeric))


def capability_of(target: str) -> str:
    """`8.6` for `sm86` or `8.6`."""
    digits = target.lower().removeprefix("sm")
    return digits if "." in digits else f"{digits[:-1]}.{digits[-1:]}"


def _numeric(capability: str) -> tuple[int, ...]:
    return tuple(int(part) for part in capability.split("."))


def require_targets(library: Library, targets: tuple[str, ...]) -> None:
    """Refuse compute capabilities that the library does not build for.

    Raises:
        BackendError: it names the unknown one and those that the library knows.
    """
    unknown = [target for target in targets if target not in known_targets(library)]
    if unknown:
        known = ", ".join(f"sm{t.replace('.', '')}" for t in known_targets(library))
        raise BackendError(
            f"{library} does not build for sm{unknown[0].replace('.', '')}; it builds for {known}. "
            "For other GPUs build with tensorrt on that machine."
        )
