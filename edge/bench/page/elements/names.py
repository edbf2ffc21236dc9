"""What levels, modes and series are called on the page."""

from __future__ import annotations

from typing import Final

from edge.bench.statistics.names import Level, Mode
from edge.bench.statistics.series import Series
from edge.text.counted import counted

LEVELS: Final[dict[Level, tuple[str, str]]] = {
    "engine": ("Engine", "the network alone, its input and output where the engine wants them"),
    "call": ("Call", "one inference with arrays of the host, copies included"),
    "image": ("Image", "from bytes on the disk to a label"),
    "file": ("File", "from a closed image file to its sidecar under its name, through the daemon"),
}
MODES: Final[dict[Mode, tuple[str, str]]] = {
    "single_stream": ("single stream", "the next begins when the last is done"),
    "offline": ("offline", "everything is there at once"),
    "open_loop_constant": (
        "open loop, constant",
        "arrivals at an even pace that waits for no answer; latency counts from the intended start",
    ),
    "open_loop_poisson": (
        "open loop, Poisson",
        "random arrivals that wait for no answer; latency counts from the intended start",
    ),
    "burst": ("burst", "a slide's images arrive at once; the latency of each counts from then"),
}


def short_name(series: Series) -> str:
    """The subject, and what sets it apart from others of its level and mode."""
    parts = [series.subject]
    if series.images_per_call != 1:
        parts.append(f"{counted(series.images_per_call, 'image')} a call")
    if series.threads != 1:
        parts.append(counted(series.threads, "thread"))
    if series.workers != 1:
        parts.append(counted(series.workers, "worker"))
    if series.offered_per_second is not None:
        parts.append(f"{series.offered_per_second:g}/s")
    return ", ".join(parts)
