"""Inline drawings. Colours come from the page's style, so they follow light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log10
from typing import Any, Final
from xml.etree.ElementTree import Element, tostring

from markupsafe import Markup

from converters.report.numbers import number

# Histogram: its size, and the plot inside the labels, in pixels at normal size.
_WIDTH, _HEIGHT = 320, 132
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 268.0, 8.0, 106.0
# Half a value: a bin with one value still shows on a logarithmic scale.
_FLOOR: Final = log10(0.5)
_DECADES: Final = {0: "1", 2: "100", 4: "10 k", 6: "1 M", 8: "100 M"}


def bar(share: float, kind: str, label: str) -> Markup:
    """One horizontal bar of a share 0..1 of the full width."""
    width = round(100 * min(max(share, 0.0), 1.0), 2)
    return _stretched(10, label, [_rect(0, 0, width, 10, kind)])


def recall_bars(fp32: dict[str, Any], int8: dict[str, Any], label: str) -> Markup:
    """FP32 above INT8, from 0 to 100 %, each with its interval."""
    grid = [_line(x, 0, x, 36, "grid") for x in (25, 50, 75, 100)]
    return _stretched(36, label, [*grid, *_recall(fp32, 3, "fp32"), *_recall(int8, 20, "int8")])


def histogram(tensor: dict[str, Any]) -> Markup:
    """Values of a tensor on a logarithmic scale, with the range that INT8 covers."""
    plot = _Plot.of(tensor)
    low, high = tensor["range"]
    label = (
        f"Histogram of {tensor['name']}: values from {number(tensor['seen'][0])} to "
        f"{number(tensor['seen'][1])}, INT8 range {number(low)} to {number(high)}"
    )
    drawn = [plot.band(low, high)]
    for power, name in _DECADES.items():
        if power <= plot.top:
            drawn += _decade(plot.y(power), name)
    drawn += plot.bars(tensor)
    drawn.append(_line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, "axis"))
    # The lower limit is written to the left and the upper one to the right: they never overlap.
    drawn += [*_limit(plot.x(low), low, "end"), *_limit(plot.x(high), high, "start")]
    return _svg(label, drawn, {"viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "class": "histogram"})


def outside(tensor: dict[str, Any]) -> float:
    """Share of the values in bars whose middle lies outside the chosen range."""
    low, high = tensor["range"]
    bars = _used_bars(tensor)
    clipped = sum(n for start, width, n in bars if not low <= start + width / 2 <= high)
    return clipped / max(sum(n for _, _, n in bars), 1)


@dataclass(frozen=True, slots=True)
class _Plot:
    """The scales of a histogram: values from `first` to `last`, counts up to 10 ** `top`."""

    first: float
    last: float
    top: float

    @classmethod
    def of(cls, tensor: dict[str, Any]) -> _Plot:
        bars = _used_bars(tensor)
        ends = [*tensor["range"], bars[0][0], bars[-1][0] + bars[-1][1]]
        return cls(min(ends), max(ends), log10(max(n for _, _, n in bars)))

    def x(self, value: float) -> float:
        share = (value - self.first) / max(self.last - self.first, 1e-12)
        return round(_LEFT + share * (_RIGHT - _LEFT), 2)

    def y(self, power: float) -> float:
        share = (power - _FLOOR) / (self.top - _FLOOR)
        return round(_BOTTOM - share * (_BOTTOM - _TOP), 2)

    def band(self, low: float, high: float) -> Element:
        x = self.x(low)
        return _rect(x, _TOP, self.x(high) - x, _BOTTOM - _TOP, "band")

    def bars(self, tensor: dict[str, Any]) -> Iterator[Element]:
        low, high = tensor["range"]
        for start, width, n in _used_bars(tensor):
            x, y = self.x(start), self.y(log10(n))
            kind = "inside" if low <= start + width / 2 <= high else "clipped"
            thickness = max(round(self.x(start + width) - x - 0.4, 2), 0.6)
            yield _rect(x, y, thickness, _BOTTOM - y, kind)


def _used_bars(tensor: dict[str, Any]) -> list[tuple[float, float, int]]:
    """Start, width and count of the bars that are not empty; one empty bar where all are."""
    fields = tensor["histogram"]
    start, width = fields["start"], fields["bar_width"]
    bars = [(start + i * width, width, n) for i, n in enumerate(fields["counts"]) if n]
    return bars or [(start, width, 1)]


def _recall(fields: dict[str, Any], y: float, kind: str) -> Iterator[Element]:
    if not fields["total"]:
        return
    low, high, middle = 100 * fields["low"], 100 * fields["high"], y + 6.5
    yield _rect(0, y, 100 * fields["rate"], 13, kind)
    yield _line(low, middle, high, middle, "whisker")
    yield _line(low, y + 3, low, y + 10, "whisker")
    yield _line(high, y + 3, high, y + 10, "whisker")


def _limit(x: float, value: float, anchor: str) -> Iterator[Element]:
    yield _line(x, _TOP - 4, x, _BOTTOM + 4, "limit")
    yield _text(x, _BOTTOM + 16, number(value), {"text-anchor": anchor, "class": "limit"})


def _decade(y: float, name: str) -> Iterator[Element]:
    yield _line(_LEFT, y, _RIGHT, y, "grid")
    yield _text(_LEFT - 4, y + 4, name, {"text-anchor": "end"})


def _stretched(height: int, label: str, drawn: list[Element]) -> Markup:
    """A drawing as wide as its cell: no text in it, and lines keep their thickness."""
    box = {"viewBox": f"0 0 100 {height}", "preserveAspectRatio": "none", "height": str(height)}
    return _svg(label, drawn, {**box, "class": "bar"})


def _svg(label: str, drawn: list[Element], attributes: dict[str, str]) -> Markup:
    svg = Element("svg", {**attributes, "role": "img", "aria-label": label})
    svg.extend(drawn)
    # ElementTree has escaped every text and attribute.
    return Markup(tostring(svg, encoding="unicode"))  # noqa: S704


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Element:
    size = {"x": x, "y": y, "width": round(width, 2), "height": round(height, 2)}
    return Element("rect", {**_written(size), "class": kind})


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Element:
    ends = {"x1": round(x1, 2), "y1": round(y1, 2), "x2": round(x2, 2), "y2": round(y2, 2)}
    return Element("line", {**_written(ends), "vector-effect": "non-scaling-stroke", "class": kind})


def _text(x: float, y: float, written: str, attributes: dict[str, str]) -> Element:
    element = Element("text", {**_written({"x": x, "y": round(y, 2)}), **attributes})
    element.text = written
    return element


def _written(numbers: dict[str, float]) -> dict[str, str]:
    return {name: str(value) for name, value in numbers.items()}
