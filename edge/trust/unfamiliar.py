"""The reasons why an image is not like the laboratory's, as codes in sidecars."""

from __future__ import annotations

from enum import StrEnum


class Unfamiliar(StrEnum):
    """A fault that a person may mend, or `unlike` where none explains the image."""

    BLURRED = "blurred"
    OFF_CENTRE = "off_centre"
    NO_NUCLEUS = "no_nucleus"
    STAIN = "stain"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    UNLIKE = "unlike"
