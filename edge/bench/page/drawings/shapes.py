"""The shapes that drawings are made of; colours come from the style sheet by class."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import ArrayLike

from edge.bench.page.drawings.scales import Scale
from edge.bench.page.elements.html import tag
from edge.bench.page.elements.numbers import significant

# The width of every drawing, and the plot's ends in it, in pixels at normal size.
WIDTH = 760
LEFT, RIGHT = 64.0, 744.0


def drawing(height: float, label: str, *shapes: Element) -> Element:
    """A picture as wide as its place, with a text for those who do not see it."""
    svg = tag("svg", tag("title", label), *shapes, viewBox=f"0 0 {WIDTH} {height:g}", role="img")
    return tag("div", svg, class_="scroll")


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Element:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rect(x: float, y: float, width: float, height: float, class_: str) -> Element:
    """A filled rectangle; a size below 0 is none."""
    return tag("rect", x=x, y=y, width=max(0.0, width), height=max(0.0, height), class_=class_)


def label(x: float, y: float, text: str, class_: str = "", anchor: str = "start") -> Element:
    """A text; `y` is its base line."""
    return tag("text", text, x=x, y=y, class_=class_, text_anchor=anchor)


def polyline(xs: ArrayLike, ys: ArrayLike, class_: str) -> Element:
    """A line through points."""
    return tag("polyline", points=_points(xs, ys), class_=class_)


def area(xs: ArrayLike, tops: ArrayLike, bottoms: ArrayLike, class_: str) -> Element:
    """What lies between two lines."""
    across = np.asarray(xs)
    points = f"{_points(across, tops)} {_points(across[::-1], np.asarray(bottoms)[::-1])}"
    return tag("polygon", points=points, class_=class_)


def dots(xs: ArrayLike, ys: ArrayLike, class_: str) -> Element:
    """Many small points in one path, each a line of no length with round ends."""
    parts = (f"M{x:.1f},{y:.1f}h0" for x, y in zip(np.asarray(xs), np.asarray(ys), strict=True))
    return tag("path", d="".join(parts), class_=class_)


def uprights(xs: ArrayLike, tops: ArrayLike, bottoms: ArrayLike, class_: str) -> Element:
    """Many upright lines in one path."""
    ends = zip(np.asarray(xs), np.asarray(tops), np.asarray(bottoms), strict=True)
    parts = (f"M{x:.1f},{top:.1f}V{bottom:.1f}" for x, top, bottom in ends)
    return tag("path", d="".join(parts), class_=class_)


def columns(edges: ArrayLike, tops: ArrayLike, bottom: float, class_: str) -> Element:
    """Many columns in one path, each from one edge to the next; of no height where empty."""
    places = np.asarray(edges)
    sides = zip(places[:-1], places[1:], np.asarray(tops), strict=True)
    parts = (
        f"M{left:.1f},{bottom:.1f}V{top:.1f}H{right:.1f}V{bottom:.1f}z"
        for left, right, top in sides
        if top < bottom
    )
    return tag("path", d="".join(parts), class_=class_)


def across_axis(scale: Scale, top: float, bottom: float, text: str) -> Iterable[Element]:
    """Grid, ticks and text of the axis from left to right."""
    for value in scale.ticks():
        x = scale.place(value)
        yield line(x, top, x, bottom, "grid")
        yield label(x, bottom + 15, significant_tick(value), anchor="middle")
    yield label((scale.start + scale.end) / 2, bottom + 32, text, "axis-name", "middle")


def upright_axis(scale: Scale, text: str) -> Iterable[Element]:
    """Grid, ticks and text of the axis from bottom to top, at the left."""
    for value in scale.ticks():
        y = scale.place(value)
        yield line(LEFT, y, RIGHT, y, "grid")
        yield label(LEFT - 6, y + 4, significant_tick(value), anchor="end")
    yield label(4, min(scale.start, scale.end) - 8, text, "axis-name")


def significant_tick(value: float) -> str:
    """A round value without digits that say nothing."""
    text = significant(value, 4)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _points(xs: ArrayLike, ys: ArrayLike) -> str:
    pairs = zip(np.asarray(xs), np.asarray(ys), strict=True)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)
