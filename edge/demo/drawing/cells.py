"""Draws images of blood cells, because real ones may not be published.

A drawn image has the size, stain and framing of a CellaVision DM96 export (Acevedo et al.
2020): one cell near the middle, red cells around it. They are for demonstrations and tests only:
how well a model labels drawn cells says nothing about real ones.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.demo.drawing.nucleus import nucleus_mask
from edge.demo.drawing.paint import (
    Plane,
    Span,
    between,
    blend,
    blurred,
    dots,
    filled,
    grain,
    rim,
    rounded,
    spots,
    stain_through,
    turned,
    window,
    wobbly_outline,
)
from edge.demo.drawing.recipes import RECIPES, Chromatin, Granules, Recipe
from edge.demo.drawing.smear import (
    BACKGROUND,
    MARGIN_PX,
    blank_field,
    scatter_platelets,
    scatter_red_cells,
)

CLASSES: tuple[str, ...] = (
    "neutrophil",
    "eosinophil",
    "basophil",
    "lymphocyte",
    "monocyte",
    "ig",
    "erythroblast",
    "platelet",
)

_HEIGHT_PX = 363
_WIDTH_PX = 360
# The real set has a few images with a cool white balance among the warm ones.
_COOL_SHARE = 0.05
_COOL_BACKGROUND = (226.0, 222.0, 236.0)


def draw_cell(
    cell_class: str,
    rng: np.random.Generator,
    *,
    height_px: int = _HEIGHT_PX,
    width_px: int = _WIDTH_PX,
) -> NDArray[np.uint8]:
    """One drawn cell as uint8 RGB (height, width, 3).

    The same rng state gives the same bytes on the same machine and OpenCV build.
    Sizes other than the analyzer's 363 x 360 are scaled from it.

    Raises:
        ValueError: the class is not one of CLASSES.
    """
    if cell_class not in RECIPES:
        raise ValueError(f"no such class: {cell_class!r}. Known: {', '.join(CLASSES)}.")
    recipe = RECIPES[cell_class]
    canvas = blank_field(_HEIGHT_PX, _WIDTH_PX)
    centre = np.array([_WIDTH_PX, _HEIGHT_PX]) / 2 + MARGIN_PX + rng.normal(0.0, 4.0, 2)
    radius_px = recipe.radius_px.pick(rng)
    scatter_red_cells(canvas, rng, middle=centre, clear_px=radius_px)
    scatter_platelets(canvas, rng, middle=centre, clear_px=radius_px)
    view = window(canvas, centre, _window_side_px(radius_px))
    _draw_stained_cell(view, recipe, rng, radius_px)
    image = _photograph(canvas[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX], rng)
    if (height_px, width_px) == image.shape[:2]:
        return image
    resized = cv2.resize(image, (width_px, height_px), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def encode_jpeg(image: NDArray[np.uint8], *, quality: int = 92) -> bytes:
    """The RGB image as JPEG bytes.

    Raises:
        ValueError: the array is not uint8 (height, width, 3).
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image is {image.dtype} {image.shape}, it must be uint8 (h, w, 3).")
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def _window_side_px(radius_px: float) -> int:
    """Side of a square that holds the longest cell with its soft edge; an even number."""
    return 2 * round(1.4 * radius_px + 10.0)


def _draw_stained_cell(
    view: Plane, recipe: Recipe, rng: np.random.Generator, radius_px: float
) -> None:
    side_px = len(view)
    outline = wobbly_outline(
        rng,
        radius_px,
        elongation=recipe.elongation.pick(rng),
        wobble=recipe.wobble,
        waves=recipe.waves,
    )
    body = blurred(filled(outline, side_px), 0.8)
    _stain_cytoplasm(view, body, recipe, rng)
    nucleus = np.zeros_like(body)
    if recipe.chromatin is not None:
        shape = recipe.nuclei[int(rng.integers(len(recipe.nuclei)))]
        inside = np.clip(blurred(body, 2.0) * 2.0 - 1.0, 0.0, 1.0)
        nucleus = nucleus_mask(shape, rng, radius_px, side_px) * inside
        _stain_nucleus(view, nucleus, recipe.chromatin, rng)
    for granules in recipe.granules:
        _stain_granules(view, body, nucleus, granules, rng)
    _punch_vacuoles(view, body, recipe, rng, radius_px)


def _stain_cytoplasm(view: Plane, body: Plane, recipe: Recipe, rng: np.random.Generator) -> None:
    side_px = len(view)
    colour = between(*recipe.cytoplasm, rng.uniform())
    blend(view, body, colour)
    clouds = grain(rng, side_px, 14.0) + grain(rng, side_px, 4.0)
    stain_through(view, body * clouds, (1.0 - 0.5 * recipe.mottle,) * 3)
    edge = between(colour, (96.0, 78.0, 160.0), 0.7)
    blend(view, rim(body, 2.5) * recipe.edge_stain.pick(rng), edge)


def _stain_nucleus(
    view: Plane, nucleus: Plane, chromatin: Chromatin, rng: np.random.Generator
) -> None:
    side_px = len(view)
    blend(view, nucleus, chromatin.dark)
    gaps = spots(rng, side_px, chromatin.clump_px, chromatin.open_share.pick(rng))
    blend(view, nucleus * gaps * rng.uniform(0.6, 0.95), chromatin.light)
    blend(view, rim(nucleus, 2.2) * chromatin.rim, chromatin.dark)


def _stain_granules(
    view: Plane, body: Plane, nucleus: Plane, granules: Granules, rng: np.random.Generator
) -> None:
    side_px = len(view)
    # Granules at the edge stick out a little: cut the noise with a wider, softer body.
    reach = np.clip(blurred(body, 2.5) * 1.8, 0.0, 1.0) if granules.frayed_edge else body
    where = reach * (1.0 - (1.0 - granules.cover_nucleus) * nucleus)
    grains = spots(rng, side_px, granules.size_px, granules.coverage.pick(rng))
    blend(view, where * grains * granules.opacity.pick(rng), granules.colour)


def _punch_vacuoles(
    view: Plane, body: Plane, recipe: Recipe, rng: np.random.Generator, radius_px: float
) -> None:
    count = int(rng.choice(recipe.vacuoles))
    if count == 0:
        return
    angles = rng.uniform(0.0, 2.0 * np.pi, count)
    lengths = radius_px * rng.uniform(0.4, 0.92, count)
    places = np.stack([turned(a, r) for a, r in zip(angles, lengths, strict=True)])
    holes = rounded(dots(rng, places, Span(1.8, 4.5), len(view)), 0.8)
    blend(view, holes * body * 0.8, (236.0, 218.0, 222.0))


def _photograph(field: Plane, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The field as a camera would record it: focus, sharpening, stain, light, noise."""
    focus = blurred(field, rng.uniform(0.6, 1.1))
    # The analyzer sharpens, which leaves a thin bright line around dark nuclei.
    sharp = focus + rng.uniform(0.2, 0.7) * (focus - blurred(focus, 2.0))
    light, noise = _illumination(rng), _sensor_noise(rng)
    lit = cv2.merge([plane * light + noise for plane in cv2.split(sharp)])
    image = np.clip(lit, 0.0, 255.0).astype(np.uint8)
    return np.asarray(cv2.LUT(image, _stain_curve(rng)), np.uint8)


def _illumination(rng: np.random.Generator) -> Plane:
    slope_y, slope_x = rng.uniform(-0.02, 0.02, 2)
    rows = np.linspace(-slope_y, slope_y, _HEIGHT_PX, dtype=np.float32)
    columns = np.linspace(-slope_x, slope_x, _WIDTH_PX, dtype=np.float32)
    return np.asarray(1.0 + rows[:, None] + columns, np.float32)


def _sensor_noise(rng: np.random.Generator) -> Plane:
    noise = rng.standard_normal((_HEIGHT_PX, _WIDTH_PX), np.float32)
    return blurred(noise, 0.7) * np.float32(rng.uniform(1.0, 3.0))


def _stain_curve(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A lookup table (1, 256, 3): stain strength as optical density, then white balance."""
    paper = np.asarray(BACKGROUND)
    strength = rng.uniform(0.85, 1.18) * rng.uniform(0.95, 1.05, 3)
    target = paper + rng.normal(0.0, 2.0, 3)
    if rng.uniform() < _COOL_SHARE:
        target = np.asarray(_COOL_BACKGROUND)
    share = np.arange(256.0)[:, None] / paper
    curve = np.clip(target * share**strength, 0.0, 255.0)
    return np.asarray(curve[None], np.uint8)
