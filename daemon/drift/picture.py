"""Draws the last weeks of each watch folder as SVG, which needs no other file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from xml.etree.ElementTree import Element, tostring

from daemon.drift.bins import Bin, Period, binned
from daemon.drift.table import state_text
from daemon.journal.streams import StreamHistory
from edge.text.printable import printable

# Colours that colour-blind people tell apart, as in the conversion's report.
_STYLE: Final = """
svg { --page: #f5f7f9; --card: #fff; --ink: #16202a; --soft: #4b5a68; --line: #d3dae1;
  --dot: #0072b2; --wrong: #b64a00; --band: #e3eef7; --alarm: #fdeadb; }
@media (prefers-color-scheme: dark) { svg { --page: #10151a; --card: #182028; --ink: #e8eef4;
  --soft: #a9b7c4; --line: #33414e; --dot: #6db1e2; --wrong: #f0944a; --band: #1f3346;
  --alarm: #54321c; } }
.page { fill: var(--page); } .card { fill: var(--card); stroke: var(--line); }
.band { fill: var(--band); } .alarm { fill: var(--alarm); } .line { stroke: var(--line); }
.spread { stroke: var(--soft); stroke-width: 1; } .dot { fill: var(--dot); }
.dot.off, .mark { fill: var(--wrong); } .new { stroke: var(--soft); stroke-dasharray: 3 3; }
text { font: 12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--soft); }
text.title { font-size: 16px; font-weight: 650; fill: var(--ink); } text.state { fill: var(--ink); }
text.off { fill: var(--wrong); font-weight: 650; }
"""
_WIDTH: Final = 960.0
_LEFT, _RIGHT = 120.0, 24.0
_HEAD: Final = 80.0
# A folder's card: its title, the shifts, the shares, the days.
_CARD: Final = 292.0
_SHIFTS: Final = (64.0, 196.0)
_SHARES: Final = (212.0, 252.0)
_LOWEST, _HIGHEST = -2.0, 4.0
# The shares' scale ends here, or at the largest share.
_LEAST_SHARE: Final = 0.10


@dataclass(frozen=True, slots=True)
class _Axes:
    """Places of times on the picture."""

    period: Period

    def x(self, moment: datetime) -> float:
        """The horizontal place of a time."""
        share = (moment - self.period.begin) / (self.period.end - self.period.begin)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    @property
    def step(self) -> timedelta:
        """The length of a bin."""
        return timedelta(hours=1) if self.period.is_hourly else timedelta(days=1)

    def middle(self, one: Bin) -> float:
        """The horizontal middle of a bin."""
        return min(self.x(one.began + self.step / 2), _WIDTH - _RIGHT)


def svg_of(histories: Sequence[StreamHistory], period: Period) -> bytes:
    """The picture, UTF-8."""
    height = _HEAD + len(histories) * _CARD
    svg = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH:g} {height:g}",
            "role": "img",
            "aria-label": "Drift of the images of each watch folder",
        },
    )
    svg.append(_words("style", _STYLE))
    svg.append(_box("page", 0, 0, _WIDTH, height))
    svg.append(_text("title", 24, 30, "Drift of the images"))
    until = f"{period.begin:%Y-%m-%d} to {period.end:%Y-%m-%d %H:%M}"
    unit = "hour" if period.is_hourly else "day"
    key = f"the line through it: one standard deviation of the {unit}; shaded: of the laboratory"
    svg.append(_text("", 24, 50, f"{until}; dot: mean shift of one {unit}; {key}"))
    text = "bars: share of cells that do not look like the laboratory's own; ▲: an alarm begins"
    svg.append(_text("", 24, 68, text))
    for number, history in enumerate(histories):
        card = Element("g", {"transform": f"translate(0 {_HEAD + number * _CARD:g})"})
        card.extend(_card(history, period))
        svg.append(card)
    return tostring(svg, encoding="unicode").encode() + b"\n"


def html_of(svg: bytes) -> bytes:
    """The picture as a page."""
    return (
        b'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Drift</title>'
        b'<meta name="color-scheme" content="light dark"></head><body style="margin:0">\n'
        + svg
        + b"</body></html>\n"
    )


def _card(history: StreamHistory, period: Period) -> Iterator[Element]:
    axes, bins = _Axes(period), binned(history.hours, period)
    drift = history.stream.drift if history.stream else None
    yield _box("card", 12, 4, _WIDTH - 24, _CARD - 12, round_=8)
    yield _text("title", 24, 28, printable(str(history.folder)))
    yield _text("off" if drift and drift.is_alarm else "state", 24, 46, state_text(history))
    yield _box("band", _LEFT, _y(1.0), _WIDTH - _RIGHT - _LEFT, _y(-1.0) - _y(1.0))
    yield from _alarms(bins, axes)
    yield from _frame(bins)
    yield from _shifts(bins, axes)
    yield from _shares(bins, axes)
    yield from _days(axes)


def _alarms(bins: Sequence[Bin], axes: _Axes) -> Iterator[Element]:
    was_alarmed = False
    for one in bins:
        if one.alarmed:
            left, right = axes.x(one.began), axes.x(min(one.began + axes.step, axes.period.end))
            top = _SHIFTS[0]
            yield _box("alarm", left, top, max(2.0, right - left), _SHARES[1] - top)
            if not was_alarmed:
                # Not by the colour alone.
                yield _text("mark", axes.middle(one), top + 10, "▲", anchor="middle")
        was_alarmed = one.alarmed > 0
        if one.is_new_bundle:
            x = axes.x(one.began)
            yield _line("new", x, _SHIFTS[0], x, _SHARES[1])
            yield _text("", x + 3, _SHIFTS[1] - 4, "new bundle")


def _frame(bins: Sequence[Bin]) -> Iterator[Element]:
    right = _WIDTH - _RIGHT
    for value, text in ((4.0, "4"), (0.0, "laboratory 0"), (-2.0, "-2")):
        yield _text("", _LEFT - 8, _y(value) + 4, text, anchor="end")
    yield _text("", _LEFT - 8, _y(2.0) + 4, "mean shift 2", anchor="end")
    for value in (_LOWEST, 0.0, 2.0, _HIGHEST):
        yield _line("line", _LEFT, _y(value), right, _y(value))
    yield _line("line", _LEFT, _SHARES[1], right, _SHARES[1])
    yield _text("", _LEFT - 8, _SHARES[0] + 10, f"unlike {100 * _most(bins):.0f} %", anchor="end")
    yield _text("", _LEFT - 8, _SHARES[1], "0 %", anchor="end")
    if not bins:
        middle = (_LEFT + right) / 2
        yield _text("", middle, _y(3.0), "no cells in these weeks", anchor="middle")


def _shifts(bins: Sequence[Bin], axes: _Axes) -> Iterator[Element]:
    for one in bins:
        x = axes.middle(one)
        high, low = _y(one.mean + one.spread), _y(one.mean - one.spread)
        yield _line("spread", x, high, x, low)
        dot = {"class": "dot off" if one.alarmed else "dot", "r": "3" if axes.step.days else "2"}
        circle = Element("circle", {**dot, "cx": f"{x:.1f}", "cy": f"{_y(one.mean):.1f}"})
        circle.append(_words("title", _said(one)))
        yield circle


def _shares(bins: Sequence[Bin], axes: _Axes) -> Iterator[Element]:
    most, (top, bottom) = _most(bins), _SHARES
    width = max(1.5, 0.7 * (axes.x(axes.period.begin + axes.step) - _LEFT))
    for one in bins:
        height = (bottom - top) * one.unfamiliar / most
        kind = "dot off" if one.alarmed else "dot"
        bar = _box(kind, axes.middle(one) - width / 2, bottom - height, width, height)
        bar.append(_words("title", _said(one)))
        yield bar


def _days(axes: _Axes) -> Iterator[Element]:
    period = axes.period
    every = 1 if period.is_hourly else 7
    day = period.begin
    while day < period.end:
        x = axes.x(day)
        yield _line("line", x, _SHARES[1], x, _SHARES[1] + 5)
        if x < _WIDTH - _RIGHT - 40:
            yield _text("", x + 2, _SHARES[1] + 18, f"{day:%b} {day.day}")
        day += timedelta(days=every)


def _most(bins: Sequence[Bin]) -> float:
    return max([_LEAST_SHARE, *(one.unfamiliar for one in bins)])


def _said(one: Bin) -> str:
    alarm = ", alarm" if one.alarmed else ""
    return (
        f"{one.began:%Y-%m-%d %H:%M}: {one.cells:,} cells, mean shift {one.mean:+.2f}, "
        f"{one.unfamiliar:.1%} unlike the laboratory's{alarm}"
    )


def _y(shift: float) -> float:
    top, bottom = _SHIFTS
    share = (min(_HIGHEST, max(_LOWEST, shift)) - _LOWEST) / (_HIGHEST - _LOWEST)
    return bottom - share * (bottom - top)


def _box(kind: str, x: float, y: float, width: float, height: float, *, round_: int = 0) -> Element:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}"}
    return Element("rect", {"class": kind, **place, "rx": str(round_)})


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Element:
    place = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    return Element("line", {"class": kind, **place})


def _text(kind: str, x: float, y: float, text: str, *, anchor: str = "start") -> Element:
    place = {"class": kind, "x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
    element = Element("text", place)
    element.text = text
    return element


def _words(kind: str, text: str) -> Element:
    element = Element(kind)
    element.text = text
    return element
