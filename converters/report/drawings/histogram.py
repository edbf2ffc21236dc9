"""Histograms of the values of a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log10
from typing import Any, Final
from xml.etree.ElementTree import Element

from markupsafe import Markup

from converters.report.drawings.shapes import line, rect, svg, text
from converters.report.figures.numbers import number

# Histogram: its size, and the plot inside the labels, in pixels at normal size.
_WIDTH, _HEIGHT = 320, 132
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 268.0, 8.0, 106.0
# Half a value: a bin with one value still shows on a logarithmic scale.
_FLOOR: Final = log10(0.5)
_DECADES: Final = {0: "1", 2: "100", 4: "10 k", 6: "1 M", 8: "100 M"}


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
    drawn.append(line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, "axis"))
    # The lower limit is written to the left and the upper one to the right: they never overlap.
    drawn += [*_limit(plot.x(low), low, "end"), *_limit(plot.x(high), high, "start")]
    return svg(label, drawn, {"viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "class": "histogram"})


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
        return rect(x, _TOP, self.x(high) - x, _BOTTOM - _TOP, "band")

    def bars(self, tensor: dict[str, Any]) -> Iterator[Element]:
        low, high = tensor["range"]
        for start, width, n in _used_bars(tensor):
            x, y = self.x(start), self.y(log10(n))
            kind = "inside" if low <= start + width / 2 <= high else "clipped"
            thickness = max(round(self.x(start + width) - x - 0.4, 2), 0.6)
            yield rect(x, y, thickness, _BOTTOM - y, kind)


def _used_bars(tensor: dict[str, Any]) -> list[tuple[float, float, int]]:
    """Start, width and count of the bars that are not empty; one empty bar where all are."""
    fields = tensor["histogram"]
    start, width = fields["start"], fields["bar_width"]
    bars = [(start + i * width, width, n) for i, n in enumerate(fields["counts"]) if n]
    return bars or [(start, width, 1)]


def _limit(x: float, value: float, anchor: str) -> Iterator[Element]:
    yield line(x, _TOP - 4, x, _BOTTOM + 4, "limit")
    yield text(x, _BOTTOM + 16, number(value), {"text-anchor": anchor, "class": "limit"})


def _decade(y: float, name: str) -> Iterator[Element]:
    yield line(_LEFT, y, _RIGHT, y, "grid")
    yield text(_LEFT - 4, y + 4, name, {"text-anchor": "end"})
