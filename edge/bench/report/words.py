"""The words for series and figures that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LEVELS: Final = ("engine", "call", "image", "file")
_MODES: Final = {
    "single_stream": "single stream: one request after the other",
    "offline": "offline: all images at once",
    "open_loop_constant": "open loop, constant",
    "open_loop_poisson": "open loop, Poisson",
    "burst": "burst: images that arrive at the same moment",
}
# What rounds to 100 would end with a point.
_WHOLE: Final = 99.95
_THOUSANDS: Final = 100_000


def mode_of(series: Mapping[str, Any]) -> str:
    """The mode, and the rate of an open loop."""
    rate = series["offered_per_second"]
    offered = "" if rate is None else f": {rate:g} images/s, latency from the intended start"
    return f"{_MODES[series['mode']]}{offered}"


def name_of(series: Mapping[str, Any]) -> str:
    """A series beside its level and mode: its subject and what differs from the usual."""
    parts = [str(series["subject"])]
    if series["images_per_call"] != 1:
        parts.append(f"x{series['images_per_call']}")
    if series["threads"] != 1:
        parts.append(f"{series['threads']} threads")
    if series["workers"] != 1:
        parts.append(f"{series['workers']} workers")
    return ", ".join(parts)


def place_of(series: Mapping[str, Any]) -> str:
    """A series with its level, in a sentence."""
    return f"{name_of(series)} at {series['level']} level"


def number(value: float) -> str:
    """Three digits that count, whole numbers from 100 on, and thousands from 100,000 on."""
    if abs(value) >= _THOUSANDS:
        return f"{value / 1e3:,.0f}k"
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:#.3g}"
