"""The appearance of each class under May Gruenwald-Giemsa stain, as data.

Sizes are in pixels of a 360 x 363 analyzer image, where a red cell is about 66 wide.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.demo.drawing.nucleus import Band, Body, Lobed, Nucleus
from edge.demo.drawing.paint import Colour, Span

_NEARLY_ROUND = Span(1.0, 1.12)
_FAINT_EDGE = Span(0.0, 0.15)


@dataclass(frozen=True, slots=True)
class Chromatin:
    """Stain of the nucleus: dark clumps, `open_share` of the area lighter."""

    dark: Colour
    light: Colour
    clump_px: float
    open_share: Span
    rim: float = 0.8


@dataclass(frozen=True, slots=True)
class Granules:
    """Grains in the cytoplasm, or over everything where `cover_nucleus` is above 0."""

    colour: Colour
    size_px: float
    coverage: Span
    opacity: Span
    cover_nucleus: float = 0.0
    frayed_edge: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """One class: its outline, cytoplasm, nucleus shapes and granules."""

    radius_px: Span
    cytoplasm: tuple[Colour, Colour]
    nuclei: tuple[Nucleus, ...] = ()
    chromatin: Chromatin | None = None
    granules: tuple[Granules, ...] = ()
    elongation: Span = _NEARLY_ROUND
    wobble: float = 0.015
    waves: int = 4
    mottle: float = 0.06
    edge_stain: Span = _FAINT_EDGE
    vacuoles: tuple[int, ...] = (0,)


_GRANULOCYTE_CHROMATIN = Chromatin((66, 27, 127), (146, 100, 160), 2.8, Span(0.12, 0.24))

RECIPES: dict[str, Recipe] = {
    "neutrophil": Recipe(
        radius_px=Span(56, 68),
        cytoplasm=((232, 192, 190), (214, 184, 200)),
        nuclei=(
            Lobed((2, 3, 3, 4)),
            Lobed((3, 4, 5)),
            Band(width=Span(0.5, 0.66), bend_radius=Span(0.42, 0.52), arc_deg=Span(150, 240)),
        ),
        chromatin=_GRANULOCYTE_CHROMATIN,
        granules=(Granules((160, 102, 158), 2.6, Span(0.1, 0.24), Span(0.35, 0.65)),),
    ),
    "eosinophil": Recipe(
        radius_px=Span(56, 68),
        cytoplasm=((206, 152, 164), (196, 158, 182)),
        nuclei=(
            Lobed((2,), lobe_size=Span(0.96, 1.14)),
            Lobed((2, 2, 3), strand_width=Span(0.06, 0.14)),
        ),
        chromatin=_GRANULOCYTE_CHROMATIN,
        granules=(
            Granules((192, 90, 103), 3.6, Span(0.62, 0.74), Span(0.8, 0.95)),
            Granules((142, 62, 108), 2.8, Span(0.1, 0.2), Span(0.5, 0.75)),
        ),
    ),
    "basophil": Recipe(
        radius_px=Span(50, 62),
        cytoplasm=((208, 154, 184), (196, 150, 194)),
        nuclei=(Lobed((2, 3)), Body(Span(0.72, 0.84), dent=Span(0.1, 0.4), wobble=0.05)),
        chromatin=Chromatin((86, 42, 138), (126, 80, 158), 3.4, Span(0.2, 0.4), rim=0.3),
        granules=(
            Granules(
                (66, 24, 120),
                4.6,
                Span(0.56, 0.74),
                Span(0.9, 1.0),
                cover_nucleus=0.85,
                frayed_edge=True,
            ),
        ),
        wobble=0.02,
    ),
    "lymphocyte": Recipe(
        radius_px=Span(43, 54),
        cytoplasm=((138, 128, 182), (164, 154, 196)),
        nuclei=(Body(Span(0.82, 0.92), elongation=Span(1.0, 1.1), off_centre=Span(0.03, 0.14)),),
        chromatin=Chromatin((78, 30, 130), (128, 74, 151), 3.4, Span(0.25, 0.45)),
        elongation=Span(1.0, 1.1),
        wobble=0.02,
        mottle=0.12,
        edge_stain=Span(0.15, 0.4),
    ),
    "monocyte": Recipe(
        radius_px=Span(66, 82),
        cytoplasm=((186, 162, 190), (168, 156, 196)),
        nuclei=(
            Body(
                Span(0.68, 0.77),
                elongation=Span(1.1, 1.35),
                dent=Span(0.45, 0.85),
                off_centre=Span(0.06, 0.2),
                wobble=0.05,
            ),
            Band(width=Span(0.75, 0.92), bend_radius=Span(0.38, 0.46), arc_deg=Span(140, 220)),
        ),
        chromatin=Chromatin((98, 38, 141), (148, 92, 160), 3.4, Span(0.34, 0.5), rim=0.7),
        granules=(Granules((140, 104, 172), 2.2, Span(0.08, 0.2), Span(0.2, 0.45)),),
        elongation=Span(1.0, 1.25),
        wobble=0.035,
        waves=5,
        mottle=0.1,
        vacuoles=(0, 0, 2, 5, 9),
    ),
    "ig": Recipe(
        radius_px=Span(62, 74),
        cytoplasm=((184, 150, 188), (164, 144, 196)),
        nuclei=(
            Body(Span(0.68, 0.8), elongation=Span(1.05, 1.3), off_centre=Span(0.12, 0.26)),
            Body(
                Span(0.68, 0.76),
                elongation=Span(1.1, 1.35),
                dent=Span(0.2, 0.45),
                off_centre=Span(0.14, 0.26),
            ),
        ),
        chromatin=Chromatin((94, 34, 137), (150, 90, 158), 3.0, Span(0.26, 0.42)),
        granules=(
            Granules((112, 38, 128), 2.6, Span(0.26, 0.42), Span(0.65, 0.9), cover_nucleus=0.12),
        ),
        elongation=Span(1.0, 1.2),
        wobble=0.025,
        edge_stain=Span(0.1, 0.35),
    ),
    "erythroblast": Recipe(
        radius_px=Span(38, 50),
        cytoplasm=((150, 124, 166), (190, 156, 172)),
        nuclei=(Body(Span(0.6, 0.76), elongation=Span(1.0, 1.08), off_centre=Span(0.0, 0.14)),),
        chromatin=Chromatin((56, 26, 110), (104, 68, 138), 3.2, Span(0.01, 0.16), rim=1.0),
        elongation=Span(1.0, 1.15),
        wobble=0.03,
        mottle=0.05,
        edge_stain=Span(0.1, 0.3),
    ),
    "platelet": Recipe(
        radius_px=Span(19, 29),
        cytoplasm=((178, 142, 186), (204, 166, 192)),
        granules=(
            Granules((108, 40, 140), 2.9, Span(0.4, 0.58), Span(0.75, 0.95), frayed_edge=True),
        ),
        elongation=Span(1.0, 1.3),
        wobble=0.05,
        waves=9,
        mottle=0.1,
    ),
}
