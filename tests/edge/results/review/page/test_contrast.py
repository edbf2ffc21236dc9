"""Legibility of every pair of colours, by WCAG 2.2: 4.5 for text, 3 for what marks a control."""

from __future__ import annotations

import re
from typing import Final

import pytest

from edge.results.review.page.files import page_file

STYLE: Final = re.sub(r"/\*.*?\*/", "", page_file("review.css")[0].decode(), flags=re.DOTALL)
SURFACES: Final = ("page", "panel", "raised", "chosen")
INKS: Final = ("ink", "soft", "accent", "good", "warn", "bad")
SOLID: Final = ("accent", "good", "warn", "bad")


def palettes() -> dict[str, dict[str, str]]:
    """The colours by name, in light, dark by the system, dark by choice, and print."""
    blocks = re.findall(r"\{([^{}]*--page:[^{}]*)\}", STYLE)
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})[0-9a-f]{0,2};", b)) for b in blocks]
    named = dict(zip(("light", "dark", "dark chosen", "print"), found, strict=True))
    # Print keeps what it does not set.
    named["print"] = named["light"] | named["print"]
    return named


PALETTES: Final = palettes()
each_palette = pytest.mark.parametrize("name", PALETTES)


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@each_palette
def test_every_ink_is_legible_on_every_surface(name: str) -> None:
    colours = PALETTES[name]
    low = {
        (ink, surface): round(contrast(colours[ink], colours[surface]), 2)
        for ink in INKS
        for surface in SURFACES
        if contrast(colours[ink], colours[surface]) < 4.5
    }
    assert low == {}


@each_palette
def test_text_on_a_solid_colour_is_legible(name: str) -> None:
    colours = PALETTES[name]
    for solid in SOLID:
        assert contrast(colours[solid], colours[f"on-{solid}"]) >= 4.5, solid


@each_palette
def test_edge_of_a_control_and_the_focus_are_visible(name: str) -> None:
    colours = PALETTES[name]
    for mark in ("control", "accent"):
        for surface in ("page", "panel", "raised"):
            assert contrast(colours[mark], colours[surface]) >= 3, (mark, surface)


def test_dark_is_the_same_by_choice_and_by_the_system() -> None:
    assert PALETTES["dark"] == PALETTES["dark chosen"] != PALETTES["light"]


def test_rules_use_no_colour_but_those_of_the_palettes() -> None:
    rules = re.sub(r"\{[^{}]*--page:[^{}]*\}", "{}", STYLE)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{}]*\{)|rgba?\(|hsla?\(", rules) == []


def test_text_has_an_ink_and_a_background_a_surface_or_a_solid() -> None:
    inks = set(re.findall(r"(?<![\w-])color: ([^;}]+)", STYLE))
    assert inks == {f"var(--{ink})" for ink in (*INKS, *(f"on-{s}" for s in SOLID))}
    grounds = set(re.findall(r"(?<![\w-])background: ([^;}]+)", STYLE))
    known = {f"var(--{name})" for name in (*SURFACES, *SOLID, "ink", "edge", "veil")}
    assert grounds - {"none"} <= known


def test_ink_on_a_solid_colour_is_its_own() -> None:
    for solid in SOLID:
        for rule in re.findall(r"\{([^{}]*)\}", STYLE):
            if f"background: var(--{solid})" in rule and "color: var" in rule.replace(
                "border-color", ""
            ):
                assert f"color: var(--on-{solid})" in rule, rule
