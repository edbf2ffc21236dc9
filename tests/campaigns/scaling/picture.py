"""The three measurements of scaling as one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

_WIDTH: Final = 980
_HEIGHT: Final = 300
_PANEL: Final = 300
_LEFT: Final = 44
_COLOURS: Final = ("#0b6e4f", "#1f6feb", "#b35900")
Rows = list[dict[str, Any]]
Line = tuple[str, list[tuple[float, float]]]


def picture(files: Rows, workers: Rows, journal: Rows) -> str:
    """The measurements as SVG; a panel is empty where one was not made."""
    panels = [
        _panel(
            "processor ms per image",
            "files for one edge-daemon once",
            [
                ("whole run", [(row["files"], row["cpu_ms"]) for row in files]),
                ("second half", [(row["files"], row["late_cpu_ms"]) for row in files]),
            ],
            is_log=True,
        ),
        _panel(
            "images per second",
            "workers",
            [
                (
                    f"{threads} thread{'s' if threads > 1 else ''} in an inference",
                    [(r["workers"], r["per_second"]) for r in workers if r["threads"] == threads],
                )
                for threads in (1, 2)
            ],
            is_log=False,
        ),
        _panel(
            "a running service",
            "rows of the journal",
            [
                ("processor s to start", [(row["rows"], row["start_cpu_s"]) for row in journal]),
                ("processor ms per image", [(row["rows"], row["cpu_ms"]) for row in journal]),
                ("idle, % of a core", [(row["rows"], row["idle_percent"]) for row in journal]),
            ],
            is_log=True,
        ),
    ]
    placed = "".join(
        f'<g transform="translate({10 + number * (_PANEL + 26)} 0)">{panel}</g>'
        for number, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#1d2730">'
        "<title>Cost of an image against files, workers and rows of the journal</title>"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>{placed}</svg>\n'
    )


def _panel(title: str, across: str, lines: Sequence[Line], *, is_log: bool) -> str:
    points = [point for _, line in lines for point in line]
    if not points:
        return f'<text x="{_LEFT}" y="20">{title}: not measured</text>'
    top = _round_up(max(y for _, y in points))
    xs = sorted({x for x, _ in points})

    def place(x: float, y: float) -> tuple[float, float]:
        low, high, at = (math.log10(v) if is_log else v for v in (xs[0], xs[-1], x))
        share = (at - low) / (high - low) if high > low else 0.5
        return _LEFT + 14 + share * (_PANEL - _LEFT - 30), 236 - y / top * 150

    grid = "".join(
        f'<line x1="{_LEFT}" x2="{_PANEL}" y1="{236 - part * 150:.0f}" y2="{236 - part * 150:.0f}" '
        f'stroke="#dde2e7"/><text x="{_LEFT - 6}" y="{240 - part * 150:.0f}" '
        f'text-anchor="end">{part * top:g}</text>'
        for part in (0, 0.5, 1)
    )
    ticks = "".join(
        f'<text x="{place(x, 0)[0]:.0f}" y="254" text-anchor="middle">{_number(x, is_log=is_log)}'
        "</text>"
        for x in xs
    )
    return (
        f'<text x="{_LEFT}" y="18" font-size="14" font-weight="600">{title}</text>'
        f'{grid}{ticks}<text x="{(_LEFT + _PANEL) / 2:.0f}" y="276" text-anchor="middle" '
        f'fill="#46525d">{across}</text>'
        + "".join(_line(name, [place(*p) for p in line], n) for n, (name, line) in enumerate(lines))
    )


def _line(name: str, points: list[tuple[float, float]], number: int) -> str:
    colour = _COLOURS[number]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>{dots}'
        f'<text x="{_LEFT + 4}" y="{36 + 15 * number}" fill="{colour}">{name}</text>'
    )


def _round_up(value: float) -> float:
    """To one, two or five times a power of ten."""
    power: float = 10 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value)


def _number(value: float, *, is_log: bool) -> str:
    if not is_log:
        return f"{value:g}"
    power = round(math.log10(value))
    return f'10<tspan dy="-5" font-size="9">{power}</tspan>'
