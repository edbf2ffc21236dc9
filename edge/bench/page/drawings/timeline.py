"""Latency over time, a row for each series: drift and disturbances show here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from edge.bench.page.drawings.colours import Coloured
from edge.bench.page.drawings.scales import Scale, latency_scale
from edge.bench.page.drawings.shapes import (
    LEFT,
    RIGHT,
    across_axis,
    dots,
    drawing,
    label,
    line,
    significant_tick,
    uprights,
)

_ROW, _TEXT, _TOP, _BOTTOM = 112.0, 22.0, 4.0, 40.0
# More samples than this are drawn by columns: lowest to highest, and the median.
_MOST_DOTS = 1_500
_COLUMNS = 340


def timelines(series: Sequence[Coloured]) -> Element:
    """Each sample at its moment; of many, the range and the median of each moment."""
    last_s = max(float(one.moments_s.max()) for one in series)
    first_s = min(0.0, *(float(one.moments_s.min()) for one in series))
    across = Scale(first_s, last_s if last_s > first_s else first_s + 1.0, LEFT, RIGHT)
    bottom = _TOP + _ROW * len(series)
    shapes = list(across_axis(across, _TOP, bottom, "seconds since the start of the measurement"))
    for number, one in enumerate(series):
        shapes += _row(one, across, _TOP + _ROW * number)
    names = ", ".join(one.name for one in series)
    return drawing(bottom + _BOTTOM, f"Latency over time of {names}", *shapes)


def _row(one: Coloured, across: Scale, top: float) -> Iterator[Element]:
    durations = one.durations_ms
    up = latency_scale(
        float(np.median(durations)),
        float(durations.min()),
        float(durations.max()),
        top + _ROW - 8,
        top + _TEXT,
    )
    yield line(LEFT, top + _ROW, RIGHT, top + _ROW, "axis")
    # Few ticks: the rows are low.
    for value in _few(up):
        y = up.place(value)
        yield line(LEFT, y, RIGHT, y, "grid")
        yield label(LEFT - 6, y + 4, significant_tick(value), anchor="end")
    if len(durations) <= _MOST_DOTS:
        yield dots(across.at(one.moments_s), up.at(durations), f"dots {one.colour}")
    else:
        yield from _columns(one, across, up)
    middle = up.place(float(np.median(durations)))
    yield line(LEFT, middle, RIGHT, middle, "median")
    unit = "ms, logarithmic" if up.is_log else "ms"
    yield label(LEFT, top + _TEXT - 8, f"{one.name} ({unit})", "row-name")


def _columns(one: Coloured, across: Scale, up: Scale) -> Iterator[Element]:
    columns = np.clip(
        ((across.at(one.moments_s) - LEFT) / (RIGHT - LEFT) * _COLUMNS).astype(int), 0, _COLUMNS - 1
    )
    order = np.argsort(columns, kind="stable")
    numbers, firsts = np.unique(columns[order], return_index=True)
    parts = np.split(one.durations_ms[order], firsts[1:])
    xs = LEFT + (numbers + 0.5) / _COLUMNS * (RIGHT - LEFT)
    lows, highs = [float(part.min()) for part in parts], [float(part.max()) for part in parts]
    yield uprights(xs, up.at(highs), up.at(lows), f"range {one.colour}")
    yield dots(xs, up.at([float(np.median(part)) for part in parts]), f"dots {one.colour}")


def _few(up: Scale) -> list[float]:
    values = up.ticks()
    step = -(-len(values) // 4)
    return values[::step]
