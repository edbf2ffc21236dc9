"""Histograms of series below each other, on one axis, with their percentiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from edge.bench.page.drawings.colours import Coloured
from edge.bench.page.drawings.scales import Scale, latency_scale
from edge.bench.page.drawings.shapes import (
    LEFT,
    RIGHT,
    across_axis,
    columns,
    drawing,
    label,
    line,
    rect,
)
from edge.bench.page.elements.numbers import milliseconds
from edge.bench.statistics.percentiles import Estimate

_ROW, _TEXT, _TOP, _BOTTOM = 78.0, 20.0, 4.0, 40.0
# Few samples in narrow bins would be a comb.
_FEWEST_BINS, _MOST_BINS = 40, 200
# A bin that holds anything is at least this high, so that single slow calls show.
_LEAST_HEIGHT = 1.5
_MARKED = ("50", "90", "99", "99.9")


def distributions(series: Sequence[Coloured]) -> Element:
    """One row for each series; heights are shares of its own fullest bin."""
    scale = shared_scale(series, LEFT, RIGHT)
    bottom = _TOP + _ROW * len(series)
    shapes = list(across_axis(scale, _TOP, bottom, f"latency in ms{_said(scale)}"))
    for number, one in enumerate(series):
        shapes += _row(one, scale, _TOP + _ROW * (number + 1))
    return drawing(bottom + _BOTTOM, _described(series), *shapes)


def shared_scale(series: Sequence[Coloured], start: float, end: float) -> Scale:
    """The axis of latencies in ms on which all series have their place."""
    durations = [one.durations_ms for one in series]
    low = min(float(one.min()) for one in durations)
    high = max(float(one.max()) for one in durations)
    return latency_scale(min(float(np.median(one)) for one in durations), low, high, start, end)


def _row(one: Coloured, scale: Scale, bottom: float) -> Iterator[Element]:
    edges = scale.edges(_bins(len(one.durations_ms)))
    counts, _ = np.histogram(np.clip(one.durations_ms, edges[0], edges[-1]), edges)
    room = _ROW - _TEXT - 8
    heights = np.maximum(_LEAST_HEIGHT, counts / counts.max() * room) * (counts > 0)
    yield columns(scale.at(edges), bottom - heights, bottom, f"part {one.colour}")
    yield line(LEFT, bottom, RIGHT, bottom, "axis")
    for percent in _MARKED:
        figure = one.measured.percentiles_ms.get(percent)
        if isinstance(figure, Estimate):
            low, high = scale.place(figure.low), scale.place(figure.high)
            yield rect(low, bottom - room, high - low, room, "interval")
            x = scale.place(figure.value)
            yield line(x, bottom - room, x, bottom, f"percentile p{percent.replace('.', '')}")
    yield label(LEFT, bottom - _ROW + _TEXT - 5, one.name, "row-name")
    yield label(RIGHT, bottom - _ROW + _TEXT - 5, _percentiles(one), anchor="end")


def _bins(samples: int) -> int:
    return min(_MOST_BINS, max(_FEWEST_BINS, round(3 * math.sqrt(samples))))


def _percentiles(one: Coloured) -> str:
    known = [
        f"p{percent} {milliseconds(figure.value)}"
        for percent in _MARKED
        if isinstance(figure := one.measured.percentiles_ms.get(percent), Estimate)
    ]
    return " · ".join([*known, f"max {milliseconds(one.measured.max_ms)}"])


def _described(series: Sequence[Coloured]) -> str:
    rows = "; ".join(f"{one.name}: {_percentiles(one)}" for one in series)
    return f"Distributions of latency. {rows}"


def _said(scale: Scale) -> str:
    return ", logarithmic" if scale.is_log else ""
