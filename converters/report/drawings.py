"""Inline drawings. Colours come from the page's style, so they follow light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Any, Final

from converters.report.markup import EMPTY, Attribute, Html, join, tag
from converters.report.numbers import number

# Histogram: its size, and the plot inside the labels, in pixels at normal size.
_WIDTH, _HEIGHT = 320, 132
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 268.0, 8.0, 106.0
# Half a value: a bin with one value still shows on a logarithmic scale.
_FLOOR: Final = log10(0.5)
_DECADES: Final = {0: "1", 2: "100", 4: "10 k", 6: "1 M", 8: "100 M"}


def bar(share: float, kind: str, label: str) -> Html:
    """One horizontal bar of a share 0..1 of the full width."""
    width = round(100 * min(max(share, 0.0), 1.0), 2)
    return _stretched(10, label, _rect(0, 0, width, 10, kind))


def recall_bars(fp32: dict[str, Any], int8: dict[str, Any], label: str) -> Html:
    """FP32 above INT8, from 0 to 100 %, each with its interval."""
    grid = (_line(x, 0, x, 36, "grid") for x in (25, 50, 75, 100))
    return _stretched(36, label, *grid, _recall(fp32, 3, "fp32"), _recall(int8, 20, "int8"))


def histogram(tensor: dict[str, Any]) -> Html:
    """Values of a tensor on a logarithmic scale, with the range that INT8 covers."""
    plot = _Plot.of(tensor)
    low, high = tensor["range"]
    label = (
        f"Histogram of {tensor['name']}: values from {number(tensor['seen'][0])} to "
        f"{number(tensor['seen'][1])}, INT8 range {number(low)} to {number(high)}"
    )
    return tag(
        "svg",
        tag("rect", **plot.band(low, high)),
        *(_decade(plot, power) for power in _DECADES if power <= plot.top),
        *plot.bars(tensor),
        _line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, "axis"),
        _limit(plot.x(low), low, "end"),
        _limit(plot.x(high), high, "start"),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        class_="histogram",
        role="img",
        aria_label=label,
    )


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

    def band(self, low: float, high: float) -> dict[str, Attribute]:
        x = self.x(low)
        size = {"width": round(self.x(high) - x, 2), "height": _BOTTOM - _TOP}
        return {"x": x, "y": _TOP, **size, "class_": "band"}

    def bars(self, tensor: dict[str, Any]) -> list[Html]:
        low, high = tensor["range"]
        drawn = []
        for start, width, n in _used_bars(tensor):
            x, y = self.x(start), self.y(log10(n))
            kind = "inside" if low <= start + width / 2 <= high else "clipped"
            thickness = max(round(self.x(start + width) - x - 0.4, 2), 0.6)
            drawn.append(_rect(x, y, thickness, round(_BOTTOM - y, 2), kind))
        return drawn


def _used_bars(tensor: dict[str, Any]) -> list[tuple[float, float, int]]:
    """Start, width and count of the bars that are not empty; one empty bar where all are."""
    fields = tensor["histogram"]
    start, width = fields["start"], fields["bar_width"]
    bars = [(start + i * width, width, n) for i, n in enumerate(fields["counts"]) if n]
    return bars or [(start, width, 1)]


def _recall(fields: dict[str, Any], y: float, kind: str) -> Html:
    if not fields["total"]:
        return EMPTY
    low, high, middle = 100 * fields["low"], 100 * fields["high"], y + 6.5
    whisker = (
        _line(low, middle, high, middle, "whisker"),
        _line(low, y + 3, low, y + 10, "whisker"),
        _line(high, y + 3, high, y + 10, "whisker"),
    )
    return join((_rect(0, y, 100 * fields["rate"], 13, kind), *whisker))


def _limit(x: float, value: float, anchor: str) -> Html:
    # The lower limit is written to the left and the upper one to the right: they never overlap.
    text = tag("text", number(value), x=x, y=_BOTTOM + 16, text_anchor=anchor, class_="limit")
    return join((_line(x, _TOP - 4, x, _BOTTOM + 4, "limit"), text))


def _decade(plot: _Plot, power: int) -> Html:
    y = plot.y(power)
    text = tag("text", _DECADES[power], x=_LEFT - 4, y=y + 4, text_anchor="end")
    return join((_line(_LEFT, y, _RIGHT, y, "grid"), text))


def _stretched(height: float, label: str, *content: str) -> Html:
    """A drawing as wide as its cell: no text in it, and lines keep their thickness."""
    return tag(
        "svg",
        *content,
        viewBox=f"0 0 100 {height}",
        preserveAspectRatio="none",
        height=height,
        class_="bar",
        role="img",
        aria_label=label,
    )


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Html:
    return tag("rect", x=x, y=y, width=round(width, 2), height=height, class_=kind)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    ends: Sequence[float] = [round(v, 2) for v in (x1, y1, x2, y2)]
    return tag(
        "line",
        x1=ends[0],
        y1=ends[1],
        x2=ends[2],
        y2=ends[3],
        vector_effect="non-scaling-stroke",
        class_=kind,
    )
