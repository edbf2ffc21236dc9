"""The stages of a call: their mean shares, and how they change over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from edge.bench.page.drawings.colours import Coloured, part_colours
from edge.bench.page.drawings.scales import Scale, scale_from_zero, ticks
from edge.bench.page.drawings.shapes import (
    LEFT,
    RIGHT,
    across_axis,
    area,
    drawing,
    label,
    line,
    rect,
    significant_tick,
)
from edge.bench.page.elements.numbers import milliseconds, significant

# What a duration holds beside its stages.
REST: Final = "the rest"
_BAR, _TOP, _BOTTOM = 58.0, 4.0, 40.0
_ROW, _TEXT = 130.0, 22.0
_MOMENTS = 80
# A part of a bar narrower than this has no room for its value.
_NARROW = 44.0
# Stages are timed one by one, and may seem to take a little longer than the whole.
_ROUNDING = 1.02


def stage_names(series: Sequence[Coloured]) -> list[str]:
    """All stages, in the order in which they first appear, and the rest."""
    names = dict.fromkeys(name for one in series for name in one.measured.series.stages_ns)
    return [*names, REST]


def stage_bars(series: Sequence[Coloured]) -> Element:
    """The mean duration of each series as a bar of its stages, and what is beside it."""
    colours = part_colours(stage_names(series))
    means = [_means(one) for one in series]
    across = scale_from_zero(max(sum(one.values()) for one in means), LEFT, RIGHT)
    bottom = _TOP + _BAR * len(series)
    shapes = list(across_axis(across, _TOP, bottom, "mean duration in ms"))
    for number, (one, parts) in enumerate(zip(series, means, strict=True)):
        top = _TOP + _BAR * number
        shapes.append(label(LEFT, top + 18, _titled(one, parts), "row-name"))
        shapes += _bar(parts, across, top, colours)
        end = across.place(float(one.durations_ms.mean()))
        shapes.append(line(end, top + 22, end, top + 52, "percentile"))
    rows = "; ".join(
        f"{_titled(one, parts)}: {', '.join(f'{n} {milliseconds(ms)}' for n, ms in parts.items())}"
        for one, parts in zip(series, means, strict=True)
    )
    return drawing(bottom + _BOTTOM, f"Stages of a call, mean durations. {rows}", *shapes)


def stages_over_time(series: Sequence[Coloured]) -> Element:
    """The stages on top of each other, as medians of each moment."""
    colours = part_colours(stage_names(series))
    last_s = max(float(one.moments_s.max()) for one in series)
    across = Scale(0.0, last_s if last_s > 0 else 1.0, LEFT, RIGHT)
    bottom = _TOP + _ROW * len(series)
    shapes = list(across_axis(across, _TOP, bottom, "seconds since the start of the measurement"))
    for number, one in enumerate(series):
        shapes += _stacked(one, across, _TOP + _ROW * number, colours)
    names = ", ".join(one.name for one in series)
    return drawing(bottom + _BOTTOM, f"Stages over time of {names}", *shapes)


def beside(one: Coloured) -> list[str]:
    """Stages that are measured beside the call: those that have no room in its mean duration."""
    room, found = float(one.durations_ms.mean()) * _ROUNDING, []
    for name, values in one.measured.series.stages_ns.items():
        mean_ms = float(values.mean()) / 1e6
        if mean_ms > room:
            found.append(name)
        else:
            room -= mean_ms
    return found


def parts_ms(one: Coloured) -> dict[str, NDArray[np.float64]]:
    """The stages of each sample in ms, then the rest of it, then what is beside it."""
    stages = {name: values / 1e6 for name, values in one.measured.series.stages_ns.items()}
    outside = {name: stages.pop(name) for name in beside(one)}
    inside = np.sum([np.zeros(len(one.durations_ms)), *stages.values()], axis=0)
    return {**stages, REST: np.maximum(0.0, one.durations_ms - inside), **outside}


def _means(one: Coloured) -> dict[str, float]:
    return {name: float(values.mean()) for name, values in parts_ms(one).items()}


def _titled(one: Coloured, parts: Mapping[str, float]) -> str:
    text = f"{one.name}: {milliseconds(float(one.durations_ms.mean()))}"
    outside = [f"{name} {milliseconds(parts[name])}" for name in beside(one)]
    return f"{text}, and beside it {', '.join(outside)}" if outside else text


def _bar(
    parts: Mapping[str, float], across: Scale, top: float, colours: Mapping[str, str]
) -> Iterator[Element]:
    at = 0.0
    for stage, duration in parts.items():
        x, end = across.place(at), across.place(at + duration)
        yield rect(x, top + 24, end - x, 26, f"part {colours[stage]}")
        if end - x > _NARROW:
            middle = (x + end) / 2
            yield label(middle, top + 41, significant(duration), "on-part", "middle")
        at += duration


def _stacked(
    one: Coloured, across: Scale, top: float, colours: Mapping[str, str]
) -> Iterator[Element]:
    order = np.argsort(one.moments_s, kind="stable")
    moments = np.array_split(order, min(_MOMENTS, max(1, len(order) // 5)))
    xs = across.at([float(np.median(one.moments_s[moment])) for moment in moments])
    medians = {
        name: np.array([float(np.median(values[moment])) for moment in moments])
        for name, values in parts_ms(one).items()
    }
    highest = float(np.sum(list(medians.values()), axis=0).max())
    up = scale_from_zero(highest, top + _ROW, top + _TEXT)
    below = np.zeros(len(moments))
    for name, values in medians.items():
        yield area(xs, up.at(below + values), up.at(below), f"part {colours[name]}")
        below = below + values
    for value in ticks(0.0, highest, 3)[1:]:
        y = up.place(value)
        yield line(LEFT, y, RIGHT, y, "grid")
        yield label(LEFT - 6, y + 4, significant_tick(value), anchor="end")
    yield line(LEFT, top + _ROW, RIGHT, top + _ROW, "axis")
    yield label(LEFT, top + _TEXT - 7, f"{one.name} (ms)", "row-name")
