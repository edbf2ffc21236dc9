"""Faults of a picture, simulated on the laboratory's own images.

`KNOWN` give the directions by which a reason is named. `TRIED` are others, with other strengths or
made in another way, on which it is measured whether a fault is noticed and rightly named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.trust.unfamiliar import Unfamiliar

Picture = NDArray[np.uint8]
# A pixel further than this below the background's blue excess belongs to a cell.
_LEAST_PURPLE: Final = 15
_ANY_SEED: Final = 20_260


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: its reason, what it is in words, and the change of an RGB picture."""

    reason: Unfamiliar
    text: str
    change: Callable[[Picture], Picture]


def gaussian(picture: Picture, sigma_px: float) -> Picture:
    """Blurred by a Gaussian."""
    return _picture(cv2.GaussianBlur(picture, (0, 0), sigma_px))


def defocus(picture: Picture, radius_px: int) -> Picture:
    """Blurred by a disc, as a lens does out of focus."""
    disc = np.zeros((2 * radius_px + 1, 2 * radius_px + 1), np.float32)
    cv2.circle(disc, (radius_px, radius_px), radius_px, 1, -1)
    return _picture(cv2.filter2D(picture, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT))


def moved(picture: Picture, right: float, down: float, border: int | None = None) -> Picture:
    """Moved by shares of its sides; what comes in is background, or as OpenCV's `border` says."""
    height, width = picture.shape[:2]
    way = np.array([[1, 0, right * width], [0, 1, down * height]], np.float32)
    mode = cv2.BORDER_CONSTANT if border is None else border
    behind = [float(value) for value in background(picture)]
    return _picture(
        cv2.warpAffine(picture, way, (width, height), borderMode=mode, borderValue=behind)
    )


def without_nucleus(picture: Picture) -> Picture:
    """The nucleus painted over with what is around it."""
    purple = cv2.subtract(picture[:, :, 2], picture[:, :, 1])
    otsu, _ = cv2.threshold(purple, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask = cv2.dilate((purple > max(0.6 * otsu, _LEAST_PURPLE)).astype(np.uint8), np.ones((15, 15)))
    # Painting over is slow at full size, and the result is smooth in any case.
    small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    hole = cv2.resize(mask, small.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    painted = cv2.resize(cv2.inpaint(small, hole, 3, cv2.INPAINT_TELEA), picture.shape[1::-1])
    noise = np.random.default_rng(_ANY_SEED).normal(0, 2, picture.shape)
    return _clipped(np.where(mask[:, :, None] > 0, painted, picture) + noise)


def empty(picture: Picture) -> Picture:
    """Background alone."""
    return np.broadcast_to(background(picture), picture.shape).copy()


def corner(picture: Picture) -> Picture:
    """A quarter of each side, from the corner, enlarged: red cells and background."""
    height, width = picture.shape[:2]
    part = picture[: max(height // 4, 1), : max(width // 4, 1)]
    return _picture(cv2.resize(part, (width, height)))


def gained(picture: Picture, red: float, green: float, blue: float) -> Picture:
    """Each channel multiplied: lamp, exposure, white balance."""
    return _clipped(picture * np.array([red, green, blue], np.float32))


def curved(picture: Picture, gamma: float) -> Picture:
    """Another tone curve; above 1 it is darker."""
    return _clipped(255 * (picture / 255.0) ** gamma)


def stained(picture: Picture, hue_degrees: float, saturation: float) -> Picture:
    """Another stain: hue turned, saturation multiplied."""
    coded = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV).astype(np.float32)
    coded[..., 0] = (coded[..., 0] + hue_degrees / 2) % 180
    coded[..., 1] = np.clip(coded[..., 1] * saturation, 0, 255)
    return _picture(cv2.cvtColor(coded.astype(np.uint8), cv2.COLOR_HSV2RGB))


def swapped(picture: Picture) -> Picture:
    """Red and blue swapped."""
    return np.ascontiguousarray(picture[:, :, ::-1])


def grey(picture: Picture) -> Picture:
    """Without colour."""
    return _picture(cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def smaller(picture: Picture, share: float) -> Picture:
    """All of it smaller, on background."""
    height, width = picture.shape[:2]
    size = max(round(width * share), 1), max(round(height * share), 1)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    whole = empty(picture)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    whole[top : top + size[1], left : left + size[0]] = small
    return whole


def larger(picture: Picture, share: float) -> Picture:
    """The middle `share` of its sides, enlarged."""
    height, width = picture.shape[:2]
    rows, columns = max(round(height * share), 1), max(round(width * share), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    part = picture[top : top + rows, left : left + columns]
    return _picture(cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC))


def background(picture: Picture) -> Picture:
    """The colour that is brighter than nine tenths of the picture, uint8 (3,)."""
    return np.percentile(picture.reshape(-1, 3), 90, axis=0).astype(np.uint8)


def _picture(found: object) -> Picture:
    return np.asarray(found, np.uint8)


def _clipped(values: NDArray[Any]) -> Picture:
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def _of(reason: Unfamiliar, text: str, change: Callable[..., Picture], *values: object) -> Fault:
    return Fault(reason, text, lambda picture: change(picture, *values))


_half = partial(_of, Unfamiliar.OFF_CENTRE)
_blur = partial(_of, Unfamiliar.BLURRED)
_stain = partial(_of, Unfamiliar.STAIN)

KNOWN: Final = (
    _blur("blur of 2.2 pixels", gaussian, 2.2),
    _blur("blur of 4 pixels", gaussian, 4.0),
    _blur("blur of 8 pixels", gaussian, 8.0),
    _half("moved by a fifth", moved, 0.2, 0.0, cv2.BORDER_REPLICATE),
    _half("moved by three tenths", moved, 0.0, 0.3),
    _half("moved by a quarter both ways", moved, -0.25, -0.25, cv2.BORDER_REFLECT),
    _half("right half", moved, -0.5, 0.0),
    _half("lower half", moved, 0.0, -0.5),
    _of(Unfamiliar.NO_NUCLEUS, "nucleus painted over", without_nucleus),
    _of(Unfamiliar.NO_NUCLEUS, "background alone", empty),
    _of(Unfamiliar.NO_NUCLEUS, "corner of the picture", corner),
    _of(Unfamiliar.TOO_DARK, "0.7 of the light", gained, 0.7, 0.7, 0.7),
    _of(Unfamiliar.TOO_DARK, "half of the light", gained, 0.5, 0.5, 0.5),
    _of(Unfamiliar.TOO_DARK, "gamma 1.7", curved, 1.7),
    _of(Unfamiliar.TOO_DARK, "no light", gained, 0.0, 0.0, 0.0),
    _of(Unfamiliar.TOO_BRIGHT, "1.2 of the light", gained, 1.2, 1.2, 1.2),
    # Overexposed pictures lose the colour of their background: a direction of their own.
    _of(Unfamiliar.TOO_BRIGHT, "1.4 of the light", gained, 1.4, 1.4, 1.4),
    _of(Unfamiliar.TOO_BRIGHT, "twice the light", gained, 2.0, 2.0, 2.0),
    _of(Unfamiliar.TOO_BRIGHT, "gamma 0.6", curved, 0.6),
    _stain("warm light", gained, 1.1, 1.0, 0.85),
    _stain("cold light", gained, 0.85, 1.0, 1.1),
    _stain("less green", gained, 1.0, 0.88, 1.0),
    _stain("more green", gained, 1.0, 1.08, 1.0),
    _stain("hue turned by 24 degrees", stained, 24.0, 1.0),
    _stain("hue turned by -24 degrees", stained, -24.0, 1.0),
    _stain("pale", stained, 0.0, 0.6),
    _stain("strong", stained, 0.0, 1.5),
    _stain("red and blue swapped", swapped),
    _stain("without colour", grey),
    _of(Unfamiliar.TOO_SMALL, "0.7 of the size", smaller, 0.7),
    _of(Unfamiliar.TOO_SMALL, "half of the size", smaller, 0.5),
    _of(Unfamiliar.TOO_LARGE, "1.4 times the size", larger, 0.7),
    _of(Unfamiliar.TOO_LARGE, "twice the size", larger, 0.5),
    _of(Unfamiliar.TOO_LARGE, "2.5 times the size", larger, 0.4),
)

TRIED: Final = (
    _blur("blur of 3 pixels", gaussian, 3.0),
    _blur("out of focus by 6 pixels", defocus, 6),
    _half("moved by a third", moved, 0.0, -0.33),
    _half("left half", moved, 0.5, 0.0, cv2.BORDER_REPLICATE),
    _of(Unfamiliar.NO_NUCLEUS, "nucleus painted over", without_nucleus),
    _of(Unfamiliar.TOO_DARK, "0.6 of the light", gained, 0.6, 0.6, 0.6),
    _of(Unfamiliar.TOO_BRIGHT, "gamma 0.5", curved, 0.5),
    _of(Unfamiliar.TOO_BRIGHT, "1.3 of the light", gained, 1.3, 1.3, 1.3),
    _stain("warm light, slight", gained, 1.05, 1.0, 0.95),
    _stain("warm light", gained, 1.1, 1.0, 0.8),
    _stain("hue turned by -30 degrees", stained, -30.0, 1.0),
    _stain("pale", stained, 0.0, 0.5),
    _of(Unfamiliar.TOO_SMALL, "0.4 of the size", smaller, 0.4),
    _of(Unfamiliar.TOO_LARGE, "2.2 times the size", larger, 0.45),
)
