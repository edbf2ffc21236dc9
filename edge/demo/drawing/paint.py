"""Drawing tools for cells: outlines, soft masks, stain texture and layers.

Canvases are float32 RGB in 0..255, masks float32 in 0..1, points (x, y) in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.float32]
Points: TypeAlias = NDArray[np.float64]
Colour: TypeAlias = tuple[float, float, float]

_SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True)
class Span:
    """A range from which values are drawn uniformly."""

    low: float
    high: float

    def pick(self, rng: np.random.Generator) -> float:
        """One value between low and high."""
        return float(rng.uniform(self.low, self.high))


def between(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` of the way from first to second."""
    mixed = [a + share * (b - a) for a, b in zip(first, second, strict=True)]
    return mixed[0], mixed[1], mixed[2]


def turned(angle: float, length: float) -> Points:
    """The point `length` away from the origin at `angle` radians."""
    return length * np.array([np.cos(angle), np.sin(angle)])


def wobbly_outline(
    rng: np.random.Generator,
    radius_px: float,
    *,
    elongation: float = 1.0,
    wobble: float = 0.02,
    waves: int = 4,
) -> Points:
    """A closed, roughly elliptic outline around the origin.

    Args:
        rng: determines the shape.
        radius_px: mean radius.
        elongation: long axis over short axis.
        wobble: size of the departure from an ellipse, in radii.
        waves: highest number of bumps around the outline.
    """
    angles = np.linspace(0.0, 2.0 * np.pi, 72, endpoint=False)
    orders = np.arange(2, waves + 1)
    phases = rng.uniform(0.0, 2.0 * np.pi, orders.size)
    heights = rng.normal(0.0, wobble, orders.size)
    radii = radius_px * (1.0 + heights @ np.cos(np.outer(orders, angles) + phases[:, None]))
    stretch = np.sqrt(elongation)
    x, y = radii * np.cos(angles) * stretch, radii * np.sin(angles) / stretch
    tilt = rng.uniform(0.0, np.pi)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return np.asarray(np.stack([x, y], axis=1) @ turn.T, np.float64)


def filled(outline: Points, side_px: int) -> Plane:
    """A square mask with the outline filled around its middle."""
    mask = np.zeros((side_px, side_px), np.uint8)
    corners = np.rint((outline + side_px / 2) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(mask, [corners], (255,), cv2.LINE_AA, _SUBPIXEL_BITS)
    return mask.astype(np.float32) / np.float32(255.0)


def blurred(plane: Plane, sigma_px: float) -> Plane:
    """The plane after a Gaussian blur."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), np.float32)


def stepped(plane: Plane, threshold: float, steepness: float) -> Plane:
    """A soft step from 0 to 1 where the plane passes the threshold."""
    return np.asarray(np.clip((plane - threshold) * steepness + 0.5, 0.0, 1.0), np.float32)


def rounded(mask: Plane, sigma_px: float) -> Plane:
    """The mask with corners and joints rounded off and a soft edge."""
    return stepped(blurred(mask, sigma_px), 0.5, 2.0 * sigma_px)


def rim(mask: Plane, width_px: float) -> Plane:
    """The inner edge of a mask, strongest at the border."""
    return np.clip(mask * (1.0 - blurred(mask, width_px)) * 2.0, 0.0, 1.0).astype(np.float32)


def grain(rng: np.random.Generator, side_px: int, size_px: float) -> Plane:
    """Random texture with mean 0 and deviation 1, in patches of about `size_px`."""
    plane = blurred(rng.standard_normal((side_px, side_px), np.float32), size_px / 2.0)
    return np.asarray((plane - plane.mean()) / plane.std(), np.float32)


def spots(rng: np.random.Generator, side_px: int, size_px: float, coverage: float) -> Plane:
    """A mask of random spots that covers about the given share of the area."""
    threshold = NormalDist().inv_cdf(1.0 - coverage)
    return stepped(grain(rng, side_px, size_px), threshold, 1.1)


def dots(rng: np.random.Generator, places: Points, radius_px: Span, side_px: int) -> Plane:
    """A mask with one disc per place; places are offsets from the middle."""
    mask = np.zeros((side_px, side_px), np.uint8)
    for place in (places + side_px / 2) * (1 << _SUBPIXEL_BITS):
        radius = round(radius_px.pick(rng) * (1 << _SUBPIXEL_BITS))
        x, y = np.rint(place).astype(int).tolist()
        cv2.circle(mask, (x, y), radius, (255,), -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    return mask.astype(np.float32) / np.float32(255.0)


def blend(canvas: Plane, mask: Plane, colour: Colour) -> None:
    """Blend a colour into the canvas, in place, with the mask as its opacity."""
    # Channel by channel: numpy is twice as slow with an innermost axis of 3.
    for channel, value in enumerate(colour):
        plane = canvas[..., channel]
        plane += mask * (np.float32(value) - plane)


def stain_through(canvas: Plane, mask: Plane, transmittance: Colour) -> None:
    """Darken the canvas as a transparent stain does, in place.

    Overlapping red cells are darker than one, since light passes through both.
    """
    for channel, value in enumerate(transmittance):
        canvas[..., channel] *= 1.0 - mask * np.float32(1.0 - value)


def window(canvas: Plane, middle: Points, side_px: int) -> Plane:
    """The square view of the canvas around a point; it must lie inside."""
    left, top = np.rint(middle - side_px / 2).astype(int).tolist()
    return canvas[top : top + side_px, left : left + side_px]
