"""Curves of confidence: against how often labels are right, and what leaving out cells brings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from typing import Any, Final
from xml.etree.ElementTree import Element

from markupsafe import Markup

from converters.report.drawings.shapes import dot, line, polygon, polyline, svg, text
from converters.report.figures.numbers import number, percent

Fields = dict[str, Any]

# The size of a drawing, and the plot inside the labels, in pixels at normal size.
_WIDTH, _HEIGHT = 380, 252
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 362.0, 12.0, 204.0
# Where an axis of shares may begin; the highest that shows everything is taken.
_BEGINNINGS: Final = (0.99, 0.98, 0.95, 0.9, 0.8, 0.6, 0.5, 0.0)
_TICKS: Final = 5
# A part of fewer images has an interval that is wider than the rest of the drawing.
_CURVE_FROM: Final = 0.2


def reliability(before: list[Fields], after: list[Fields] | None) -> Markup:
    """Confidence against the share of right labels, with intervals; the diagonal is right.

    Args:
        before: bins of the evidence without a temperature.
        after: the same with it; None where there is none.
    """
    shown = [*before, *(after or ())]
    lowest = min(min(one["confidence"], one["right"]["low"]) for one in shown)
    plot = _Plot(_beginning(lowest), _beginning(lowest))
    drawn = [*plot.axes("mean confidence", "labels that are right")]
    drawn.append(polyline([plot.at(plot.first, plot.lowest), plot.at(1, 1)], "diagonal"))
    drawn += _bins(plot, before, "other" if after else "int8")
    drawn += _bins(plot, after or [], "int8")
    latest = after or before
    label = (
        f"Confidence against right labels in {len(latest)} groups of images, from "
        f"{percent(latest[0]['confidence'])} sure and {percent(latest[0]['right']['rate'])} right "
        f"to {percent(latest[-1]['confidence'])} and {percent(latest[-1]['right']['rate'])}"
    )
    return svg(label, drawn, _box())


def selective(curve: list[Fields], at_limit: Fields) -> Markup:
    """The share of right labels against the share of cells that are kept, the surest first."""
    shown = [one for one in curve if one["coverage"]["rate"] >= _CURVE_FROM]
    plot = _Plot(0.0, _beginning(min(one["right"]["low"] for one in shown)))

    def ways(key: str) -> list[tuple[float, float]]:
        return [plot.at(one["coverage"]["rate"], one["right"][key]) for one in shown]

    drawn = [*plot.axes("cells that are kept, the surest first", "labels that are right")]
    drawn.append(polygon([*ways("low"), *reversed(ways("high"))], "band"))
    drawn.append(polyline(ways("rate"), "curve"))
    if at_limit["right"]["total"]:
        drawn += _marked(plot, at_limit)
    label = (
        f"Right labels against kept cells: {percent(shown[-1]['right']['rate'])} of all, "
        f"{percent(at_limit['right']['rate'])} of the {percent(at_limit['coverage']['rate'])} at "
        f"a confidence of {number(at_limit['limit'])} or more"
    )
    return svg(label, drawn, _box())


@dataclass(frozen=True, slots=True)
class _Plot:
    """The scales: shares from `first` to 1 across, from `lowest` to 1 upwards."""

    first: float
    lowest: float

    def at(self, across: float, up: float) -> tuple[float, float]:
        x = _LEFT + (across - self.first) / (1 - self.first) * (_RIGHT - _LEFT)
        y = _BOTTOM - (up - self.lowest) / (1 - self.lowest) * (_BOTTOM - _TOP)
        return x, min(y, _BOTTOM)

    def axes(self, across: str, up: str) -> Iterator[Element]:
        for step in range(_TICKS + 1):
            share = step / _TICKS
            x, _ = self.at(self.first + share * (1 - self.first), 1)
            _, y = self.at(1, self.lowest + share * (1 - self.lowest))
            yield line(_LEFT, y, _RIGHT, y, "grid")
            yield text(_LEFT - 5, y + 4, _tick(self.lowest, share), {"text-anchor": "end"})
            yield text(x, _BOTTOM + 15, _tick(self.first, share), {"text-anchor": "middle"})
        yield line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, "axis")
        middle = {"text-anchor": "middle"}
        yield text((_LEFT + _RIGHT) / 2, _BOTTOM + 34, across, middle)
        height = (_TOP + _BOTTOM) / 2
        yield text(9, height, up, {**middle, "transform": f"rotate(-90 9 {height})"})


def _bins(plot: _Plot, bins: list[Fields], kind: str) -> Iterator[Element]:
    for one in bins:
        x, y = plot.at(one["confidence"], one["right"]["rate"])
        _, low = plot.at(1, one["right"]["low"])
        _, high = plot.at(1, one["right"]["high"])
        yield line(x, low, x, high, f"whisker {kind}")
        yield dot(x, y, 4, kind)


def _marked(plot: _Plot, at_limit: Fields) -> Iterator[Element]:
    x, y = plot.at(at_limit["coverage"]["rate"], at_limit["right"]["rate"])
    yield line(x, _TOP, x, _BOTTOM, "limit")
    yield dot(x, y, 4.5, "int8")
    # On the side that has room.
    is_right = x > (_LEFT + _RIGHT) / 2
    where = {"text-anchor": "end" if is_right else "start", "class": "limit"}
    name = f"from {number(at_limit['limit'])} on"
    yield text(x - 6 if is_right else x + 6, _BOTTOM - 8, name, where)


def _beginning(lowest: float) -> float:
    """Where an axis begins that shows this share."""
    return next(begin for begin in _BEGINNINGS if begin <= floor(lowest * 1000) / 1000)


def _tick(first: float, share: float) -> str:
    value = first + share * (1 - first)
    return percent(value, 0 if first <= _BEGINNINGS[2] else 1)


def _box() -> dict[str, str]:
    return {"viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "class": "plot"}
