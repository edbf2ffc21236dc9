"""The shapes of all drawings. Colours come from the page's style: they follow light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, tostring

from markupsafe import Markup

Point = tuple[float, float]


def stretched(height: int, label: str, drawn: list[Element]) -> Markup:
    """A drawing as wide as its cell: no text in it, and lines keep their thickness."""
    box = {"viewBox": f"0 0 100 {height}", "preserveAspectRatio": "none", "height": str(height)}
    return svg(label, drawn, {**box, "class": "bar"})


def svg(label: str, drawn: Sequence[Element], attributes: dict[str, str]) -> Markup:
    """The whole drawing; `label` says in words what it shows."""
    root = Element("svg", {**attributes, "role": "img", "aria-label": label})
    root.extend(drawn)
    # ElementTree has escaped every text and attribute.
    return Markup(tostring(root, encoding="unicode"))  # noqa: S704


def rect(x: float, y: float, width: float, height: float, kind: str) -> Element:
    """A rectangle; `kind` is its class in the page's style."""
    size = {"x": x, "y": y, "width": round(width, 2), "height": round(height, 2)}
    return Element("rect", {**_written(size), "class": kind})


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Element:
    """A line, as thick at any size of the drawing."""
    ends = {"x1": round(x1, 2), "y1": round(y1, 2), "x2": round(x2, 2), "y2": round(y2, 2)}
    return Element("line", {**_written(ends), "vector-effect": "non-scaling-stroke", "class": kind})


def dot(x: float, y: float, radius: float, kind: str) -> Element:
    """A disc."""
    place = {"cx": round(x, 2), "cy": round(y, 2), "r": radius}
    return Element("circle", {**_written(place), "class": kind})


def polyline(points: Sequence[Point], kind: str) -> Element:
    """A line through points."""
    return Element("polyline", {"points": _joined(points), "class": kind})


def polygon(points: Sequence[Point], kind: str) -> Element:
    """A filled area with these corners."""
    return Element("polygon", {"points": _joined(points), "class": kind})


def text(x: float, y: float, written: str, attributes: dict[str, str]) -> Element:
    """A line of text."""
    element = Element("text", {**_written({"x": x, "y": round(y, 2)}), **attributes})
    element.text = written
    return element


def _joined(points: Sequence[Point]) -> str:
    return " ".join(f"{round(x, 2)},{round(y, 2)}" for x, y in points)


def _written(numbers: dict[str, float]) -> dict[str, str]:
    return {name: str(value) for name, value in numbers.items()}
