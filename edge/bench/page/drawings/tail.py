"""Latency against percentile: how long the slowest calls take, and how many are how slow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from edge.bench.page.drawings.colours import Coloured
from edge.bench.page.drawings.distribution import shared_scale
from edge.bench.page.drawings.scales import Scale
from edge.bench.page.drawings.shapes import (
    LEFT,
    RIGHT,
    drawing,
    label,
    line,
    polyline,
    upright_axis,
)
from edge.bench.page.elements.numbers import milliseconds
from edge.bench.statistics.percentiles import samples_needed

_TOP, _BOTTOM, _HEIGHT = 26.0, 260.0, 300.0
_POINTS = 240
_PERCENTS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)


def tails(series: Sequence[Coloured]) -> Element:
    """A line for each series, thin from where its samples are too few for a percentile."""
    most = max(len(one.durations_ms) for one in series)
    # Nines of the slowest sample: 1,000 samples reach 99.9 %.
    across = Scale(0.0, max(1.0, math.log10(most)), LEFT, RIGHT)
    up = shared_scale(series, _BOTTOM, _TOP)
    text = f"latency in ms{', logarithmic' if up.is_log else ''}"
    shapes = [*upright_axis(up, text), *_percent_axis(across)]
    for one in series:
        shapes += _line(one, across, up)
    return drawing(_HEIGHT, _described(series), *shapes)


def _percent_axis(across: Scale) -> Iterator[Element]:
    for percent in _PERCENTS:
        nines = _nines(percent / 100)
        if nines <= across.high + 1e-9:
            x = across.place(nines)
            yield line(x, _TOP, x, _BOTTOM, "grid")
            yield label(x, _BOTTOM + 15, f"{percent:g} %", anchor="middle")
    middle = (LEFT + RIGHT) / 2
    yield label(middle, _BOTTOM + 32, "percent of calls that take no longer", "axis-name", "middle")


def _line(one: Coloured, across: Scale, up: Scale) -> Iterator[Element]:
    ordered = np.sort(one.durations_ms)
    count = len(ordered)
    # Evenly spaced on the axis; the slowest call stands where half of its share lies beyond it.
    nines = np.linspace(0.0, math.log10(2 * count), _POINTS)
    shares = 1 - 10.0**-nines
    values = ordered[np.minimum(count - 1, np.floor(shares * count).astype(int))]
    known = np.array([samples_needed(max(100 * share, 50.0)) <= count for share in shares])
    xs, ys = across.at(nines), up.at(values)
    yield polyline(xs, ys, f"line uncertain {one.colour}")
    if known.any():
        yield polyline(xs[known], ys[known], f"line {one.colour}")


def _nines(share: float) -> float:
    return -math.log10(1 - share)


def _described(series: Sequence[Coloured]) -> str:
    rows = "; ".join(
        f"{one.name}: half within {milliseconds(float(np.median(one.durations_ms)))}, all within "
        f"{milliseconds(float(one.durations_ms.max()))}"
        for one in series
    )
    return f"Latency against percentile. {rows}"
