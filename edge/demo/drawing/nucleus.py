"""Nucleus shapes: lobes on strands, a bent band, or one round or indented body.

Lengths are in cell radii, so that a shape fits a cell of any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from edge.demo.drawing.paint import (
    Plane,
    Points,
    Span,
    dots,
    filled,
    rounded,
    turned,
    wobbly_outline,
)

_ANY_LOBE_SIZE = Span(0.98, 1.16)
_ANY_STRAND = Span(0.08, 0.22)
_NEARLY_ROUND = Span(1.0, 1.12)
_NO_DENT = Span(0.0, 0.0)
_NEAR_CENTRE = Span(0.0, 0.08)


@dataclass(frozen=True, slots=True)
class Lobed:
    """Separate lobes in a bent row, joined by strands."""

    counts: tuple[int, ...]
    lobe_size: Span = _ANY_LOBE_SIZE
    strand_width: Span = _ANY_STRAND


@dataclass(frozen=True, slots=True)
class Band:
    """One bent band of even width: band forms, horseshoes."""

    width: Span
    bend_radius: Span
    arc_deg: Span


@dataclass(frozen=True, slots=True)
class Body:
    """One round or oval body, with a dent where `dent` is above 0."""

    radius: Span
    elongation: Span = _NEARLY_ROUND
    dent: Span = _NO_DENT
    off_centre: Span = _NEAR_CENTRE
    wobble: float = 0.02


Nucleus: TypeAlias = Lobed | Band | Body

# Lobe radius and distance from the cell's middle by lobe count: more lobes are
# smaller and lie further out, so that all of them stay inside the cell.
_LOBE_RADIUS = {2: 0.42, 3: 0.34, 4: 0.29, 5: 0.26}
_LOBE_DISTANCE = {2: 0.47, 3: 0.47, 4: 0.5, 5: 0.52}


def nucleus_mask(
    nucleus: Nucleus, rng: np.random.Generator, cell_radius_px: float, side_px: int
) -> Plane:
    """A soft mask of one nucleus in the middle of a square window."""
    match nucleus:
        case Lobed():
            mask = _lobed(nucleus, rng, cell_radius_px, side_px)
        case Band():
            mask = _band(nucleus, rng, cell_radius_px, side_px)
        case Body():
            mask = _body(nucleus, rng, cell_radius_px, side_px)
    return rounded(mask, 1.6)


def _lobed(nucleus: Lobed, rng: np.random.Generator, cell_radius_px: float, side_px: int) -> Plane:
    count = int(rng.choice(nucleus.counts))
    radius = _LOBE_RADIUS[count] * nucleus.lobe_size.pick(rng)
    places = _lobe_places(count, radius, rng) * cell_radius_px
    mask = np.zeros((side_px, side_px), np.float32)
    for place in places:
        lobe = wobbly_outline(
            rng, radius * cell_radius_px, elongation=rng.uniform(1.0, 1.55), wobble=0.05
        )
        mask = np.maximum(mask, filled(lobe + place, side_px))
    strand_px = max(2, round(nucleus.strand_width.pick(rng) * cell_radius_px))
    path = np.rint(places + side_px / 2).astype(np.int32)
    cv2.polylines(mask, [path], isClosed=False, color=(1.0,), thickness=strand_px)
    return rounded(mask, 2.2)


def _lobe_places(count: int, radius: float, rng: np.random.Generator) -> Points:
    distance = _LOBE_DISTANCE[count]
    step = 2.0 * np.arcsin(min(0.98, radius * rng.uniform(0.9, 1.15) / distance))
    # Room for most of one lobe more: a row of lobes must not close to a ring.
    step = min(step, 2.0 * np.pi / (count + 0.8))
    start = rng.uniform(0.0, 2.0 * np.pi)
    angles = start + step * np.arange(count) + rng.normal(0.0, 0.1, count)
    lengths = distance + rng.normal(0.0, 0.05, count)
    return np.stack([turned(a, r) for a, r in zip(angles, lengths, strict=True)])


def _band(nucleus: Band, rng: np.random.Generator, cell_radius_px: float, side_px: int) -> Plane:
    bend = nucleus.bend_radius.pick(rng)
    arc = np.deg2rad(nucleus.arc_deg.pick(rng))
    start = rng.uniform(0.0, 2.0 * np.pi)
    along = np.linspace(0.0, 1.0, 24)
    bends = bend * (1.0 + rng.normal(0.0, 0.12) * np.cos(2.0 * np.pi * along))
    middle = turned(start + arc / 2, bend * rng.uniform(0.05, 0.25))
    places = np.stack([turned(start + arc * t, b) for t, b in zip(along, bends, strict=True)])
    # Bands are often a little thinner half way, where a strand would form.
    waist = 1.0 - rng.uniform(0.0, 0.3) * np.sin(np.pi * along)
    widths_px = nucleus.width.pick(rng) / 2.0 * cell_radius_px * waist
    mask = np.zeros((side_px, side_px), np.float32)
    for place, width_px in zip((places - middle) * cell_radius_px, widths_px, strict=True):
        mask = np.maximum(mask, dots(rng, place[None], Span(width_px, width_px), side_px))
    return rounded(mask, 2.5)


def _body(nucleus: Body, rng: np.random.Generator, cell_radius_px: float, side_px: int) -> Plane:
    radius_px = nucleus.radius.pick(rng) * cell_radius_px
    outline = wobbly_outline(
        rng, radius_px, elongation=nucleus.elongation.pick(rng), wobble=nucleus.wobble
    )
    offset_px = nucleus.off_centre.pick(rng) * cell_radius_px
    middle = turned(rng.uniform(0.0, 2.0 * np.pi), offset_px)
    mask = filled(outline + middle, side_px)
    dent = nucleus.dent.pick(rng)
    if dent <= 0.0:
        return mask
    # The dent opens to the side with more cytoplasm, as the Golgi zone lies in it.
    inwards = -middle / max(float(np.linalg.norm(middle)), 1e-6)
    bite = np.stack([middle + inwards * radius_px * (1.3 - dent), middle + inwards * radius_px * 2])
    bite_px = max(4, round(radius_px * rng.uniform(0.4, 0.75)))
    path = np.rint(bite + side_px / 2).astype(np.int32)
    cv2.polylines(mask, [path], isClosed=False, color=(0.0,), thickness=bite_px)
    return rounded(mask, 4.5)
