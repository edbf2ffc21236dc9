"""The field around the cell: pale background, red cells and loose platelets."""

from __future__ import annotations

import numpy as np

from edge.demo.drawing.paint import (
    Colour,
    Plane,
    Points,
    Span,
    between,
    blend,
    blurred,
    filled,
    rim,
    rounded,
    spots,
    stain_through,
    turned,
    window,
    wobbly_outline,
)

BACKGROUND: Colour = (253.0, 229.0, 201.0)
# Red cells whose centre is outside the image still reach into it.
MARGIN_PX = 64

_RED_CELL_SIDE_PX = 112
_PLATELET_SIDE_PX = 48
_RED_CELL_STAINS: tuple[Colour, Colour] = ((0.86, 0.79, 0.86), (0.81, 0.70, 0.83))
_PLATELET_STAINS: tuple[Colour, Colour] = ((92.0, 40.0, 138.0), (168.0, 118.0, 172.0))


def blank_field(height_px: int, width_px: int) -> Plane:
    """A background canvas with a margin of MARGIN_PX on every side."""
    paper = np.asarray(BACKGROUND, np.float32)
    return np.tile(paper, (height_px + 2 * MARGIN_PX, width_px + 2 * MARGIN_PX, 1))


def scatter_red_cells(
    canvas: Plane, rng: np.random.Generator, *, middle: Points, clear_px: float
) -> None:
    """Draw red cells everywhere but within `clear_px` of the middle, in place."""
    stain = between(*_RED_CELL_STAINS, rng.uniform())
    pallor = rng.uniform(0.15, 0.85)
    size_px = rng.uniform(30.0, 37.0)
    count = int(rng.integers(13, 26))
    for place in _places(canvas, rng, count, spacing_px=size_px * rng.uniform(1.3, 2.0)):
        radius_px = size_px * rng.uniform(0.85, 1.12)
        if np.linalg.norm(place - middle) < clear_px + 0.85 * radius_px:
            continue
        view = window(canvas, place, _RED_CELL_SIDE_PX)
        _draw_red_cell(view, rng, radius_px, stain, pallor * rng.uniform(0.5, 1.2))


def scatter_platelets(
    canvas: Plane, rng: np.random.Generator, *, middle: Points, clear_px: float
) -> None:
    """Draw up to three small platelets away from the middle, in place."""
    for place in _places(canvas, rng, int(rng.integers(0, 4)), spacing_px=20.0):
        if np.linalg.norm(place - middle) < clear_px + 20.0:
            continue
        view = window(canvas, place, _PLATELET_SIDE_PX)
        radius_px = rng.uniform(6.0, 12.0)
        mask = rounded(filled(wobbly_outline(rng, radius_px, wobble=0.08), len(view)), 1.2)
        blend(view, mask * rng.uniform(0.6, 0.95), _PLATELET_STAINS[1])
        blend(view, mask * spots(rng, len(view), 3.5, rng.uniform(0.4, 0.8)), _PLATELET_STAINS[0])


def _places(
    canvas: Plane, rng: np.random.Generator, count: int, *, spacing_px: float
) -> list[Points]:
    height_px, width_px = canvas.shape[:2]
    reach_px = _RED_CELL_SIDE_PX / 2 + 1
    tries = rng.uniform(reach_px, [width_px - reach_px, height_px - reach_px], (8 * count, 2))
    found: list[Points] = []
    for place in tries:
        if len(found) == count:
            break
        if all(np.hypot(*(place - other)) > spacing_px for other in found):
            found.append(place)
    return found


def _draw_red_cell(
    view: Plane, rng: np.random.Generator, radius_px: float, stain: Colour, pallor: float
) -> None:
    side_px = len(view)
    elongation = rng.uniform(1.0, 1.25)
    outline = wobbly_outline(rng, radius_px, elongation=elongation, wobble=0.02, waves=5)
    body = blurred(filled(outline, side_px), 0.8)
    shift = turned(rng.uniform(0.0, 2.0 * np.pi), radius_px * rng.uniform(0.0, 0.12))
    hollow_outline = outline * Span(0.35, 0.55).pick(rng) + shift
    hollow = blurred(filled(hollow_outline, side_px), radius_px * 0.12)
    depth = rng.uniform(0.85, 1.15) * (1.0 - min(pallor, 0.95) * hollow)
    shade = body * depth * (1.0 + 0.15 * rim(body, 2.0))
    stain_through(view, shade.astype(np.float32), stain)
