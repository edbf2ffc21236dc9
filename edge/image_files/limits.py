"""The largest image that is read; light, for programs that read none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Largest accepted image. The defaults allow the largest exports of known analyzers."""

    max_bytes: int = 20_000_000
    max_pixels: int = 16_000_000
