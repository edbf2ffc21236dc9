"""A figure against a setting: images per second against batch or threads, latency against rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from edge.bench.page.drawings.scales import Scale, scale_from_zero
from edge.bench.page.drawings.shapes import (
    LEFT,
    RIGHT,
    drawing,
    label,
    line,
    polyline,
    significant_tick,
    upright_axis,
)
from edge.bench.page.elements.html import tag
from edge.bench.page.elements.numbers import significant
from edge.bench.statistics.percentiles import Estimate

_TOP, _BOTTOM, _HEIGHT = 26.0, 250.0, 290.0
# Room at both sides for the first and last error bars.
_MARGIN = 28.0


@dataclass(frozen=True, slots=True)
class Point:
    """A figure at a setting; hollow where it is of an unstable series."""

    setting: float
    figure: Estimate
    is_stable: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """Points in the order of their settings, two or more."""

    name: str
    colour: str
    points: tuple[Point, ...]


def curves(found: Sequence[Curve], setting: str, figure: str) -> Element:
    """A line for each curve, with the interval of each point; settings are on a log axis."""
    settings = sorted({point.setting for curve in found for point in curve.points})
    across = Scale(settings[0], settings[-1], LEFT + _MARGIN, RIGHT - _MARGIN, is_log=True)
    up = scale_from_zero(
        max(point.figure.high for curve in found for point in curve.points), _BOTTOM, _TOP
    )
    shapes = [*upright_axis(up, figure)]
    for value in settings:
        x = across.place(value)
        shapes.append(line(x, _BOTTOM, x, _BOTTOM + 4, "axis"))
        shapes.append(label(x, _BOTTOM + 17, significant_tick(value), anchor="middle"))
    middle = (LEFT + RIGHT) / 2
    shapes.append(label(middle, _BOTTOM + 34, setting, "axis-name", "middle"))
    for curve in found:
        shapes += _curve(curve, across, up)
    return drawing(_HEIGHT, _described(found, setting, figure), *shapes)


def _curve(curve: Curve, across: Scale, up: Scale) -> Iterator[Element]:
    xs = across.at([point.setting for point in curve.points])
    yield polyline(
        xs, up.at([point.figure.value for point in curve.points]), f"line {curve.colour}"
    )
    for x, point in zip(xs, curve.points, strict=True):
        low, high = up.place(point.figure.low), up.place(point.figure.high)
        yield line(float(x), low, float(x), high, f"line {curve.colour}")
        class_ = f"point {curve.colour}{'' if point.is_stable else ' hollow'}"
        yield tag("circle", cx=float(x), cy=up.place(point.figure.value), r=4.5, class_=class_)


def _described(found: Sequence[Curve], setting: str, figure: str) -> str:
    rows = "; ".join(
        f"{curve.name}: "
        + ", ".join(f"{significant(p.figure.value)} at {p.setting:g}" for p in curve.points)
        for curve in found
    )
    return f"{figure} against {setting}. {rows}"
