"""A drawing of rooms as SVG: floors from the imports, one way through them marked."""

from __future__ import annotations

import ast
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tests.rooms.graph import GROUND, House, children_of, floors, needed
from tests.rooms.ways import Step, Way

_WIDTH, _MARGIN = 1160.0, 24.0
_BOX_WIDTH, _BOX_HEIGHT, _GAP = 206.0, 74.0, 14.0
_FLOOR_HEIGHT = 112.0
_TOP = 64.0
_LINE = 22.0
_WAY_COLOUR, _IMPORT_COLOUR = "#0b6e4f", "#b8c0c8"
_STYLE = (
    "text{font-family:system-ui,sans-serif;fill:#1d2730}"
    ".title{font-size:19px;font-weight:600}.room{font-size:14px;font-weight:600}"
    ".says{font-size:10.5px;fill:#46525d}.number{font-size:11px;font-weight:600;fill:#fff}"
    ".step{font-size:13.5px}.note{font-size:12px;fill:#46525d}"
)


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float

    @property
    def middle(self) -> tuple[float, float]:
        return self.x + _BOX_WIDTH / 2, self.y + _BOX_HEIGHT / 2


def draw(house: House, way: Way, root: Path) -> str:
    """The rooms of a way's package as SVG.

    Raises:
        ValueError: a step of the way goes between rooms of which neither imports the other's.
    """
    room_of = _room_of(house, way)
    edges = set(house.between(room_of))
    rooms = set(room_of.values())
    for step in way.steps:
        _require_import(step, edges, rooms)
    boxes = _place(floors(rooms, edges), needed(edges), way.steps)
    bottom = max(box.y for box in boxes.values()) + _BOX_HEIGHT
    counts = {room: sum(1 for r in room_of.values() if r == room) for room in rooms}
    entered = {room for step in way.steps for room in (step.caller, step.called)}
    arrows = [_arrow(boxes[a], boxes[b], _IMPORT_COLOUR, 1.2) for a, b in sorted(needed(edges))]
    texts = [
        _room(_short(room, way), box, counts[room], _says(root, room), is_on_way=room in entered)
        for room, box in boxes.items()
    ]
    height = bottom + 60 + _LINE * math.ceil(len(way.steps) / 2)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height:.0f}">',
            f"<title>{escape(way.title)}</title>",
            f"<style>{_STYLE}</style>",
            *_markers(),
            f'<rect width="{_WIDTH:.0f}" height="{height:.0f}" fill="#fff"/>',
            _text(_MARGIN, 32, "title", way.title),
            _text(
                _MARGIN,
                51,
                "note",
                "A room stands above all that it imports. Green: the calls of the way, by number. "
                "Grey: other imports; indirect ones are not drawn.",
            ),
            *arrows,
            *_way_arrows(way.steps, boxes),
            *texts,
            *_numbers(way.steps, boxes),
            *_legend(way, bottom + 38),
            "</svg>\n",
        ]
    )


def _room_of(house: House, way: Way) -> dict[str, str]:
    found = children_of(way.package, house.files - GROUND)
    for beside in way.beside:
        # Only its own files: a room beside the package is shown without its subfolders' rooms.
        found |= {f: r for f, r in children_of(beside, house.files - GROUND).items() if r == beside}
    return found


def _short(room: str, way: Way) -> str:
    """The name of a room, without that of the package that the drawing is of."""
    return room.removeprefix(f"{way.package}/")


def _require_import(step: Step, edges: set[tuple[str, str]], rooms: set[str]) -> None:
    pair = step.caller, step.called
    if not set(pair) <= rooms or (step.caller != step.called and pair not in edges):
        raise ValueError(f"{step.caller} does not import {step.called}, as the way has it")


def _place(
    floor_of: Mapping[str, int], edges: set[tuple[str, str]], steps: Sequence[Step]
) -> dict[str, _Box]:
    """Rooms on their floors, from the highest down; from left to right as the way reaches them.

    A room that the way does not enter stands below those that import it.
    """
    order = list(dict.fromkeys(step.called for step in steps))
    wide = _WIDTH - 2 * _MARGIN - _BOX_WIDTH
    boxes: dict[str, _Box] = {}
    highest = max(floor_of.values())
    for floor in range(highest, 0, -1):
        wanted = {
            room: _MARGIN + wide * order.index(room) / (len(order) - 1)
            if room in order
            else _mean_x(room, edges, boxes)
            for room, its in floor_of.items()
            if its == floor
        }
        y = _TOP + (highest - floor) * _FLOOR_HEIGHT
        boxes |= {room: _Box(x, y) for room, x in _apart(wanted).items()}
    return boxes


def _apart(wanted: Mapping[str, float]) -> dict[str, float]:
    """Left edges of the boxes of one floor, near where they are wanted, without overlap."""
    step = _BOX_WIDTH + _GAP
    names = sorted(wanted, key=lambda room: (wanted[room], room))
    found: dict[str, float] = {}
    low = _MARGIN
    for room in names:
        found[room] = low = max(low, wanted[room])
        low += step
    high = _WIDTH - _MARGIN - _BOX_WIDTH
    for room in reversed(names):
        found[room] = high = min(high, found[room])
        high -= step
    return found


def _mean_x(room: str, edges: set[tuple[str, str]], boxes: Mapping[str, _Box]) -> float:
    above = [boxes[a].x for a, b in sorted(edges) if b == room and a in boxes]
    return sum(above) / len(above) if above else (_WIDTH - _BOX_WIDTH) / 2


def _says(root: Path, room: str) -> str:
    text = ast.get_docstring(ast.parse((root / room / "__init__.py").read_text("utf-8"))) or ""
    return text.splitlines()[0] if text else ""


def _room(name: str, box: _Box, files: int, says: str, *, is_on_way: bool) -> str:
    lines = textwrap.wrap(says, 33)[:3]
    fill, stroke = ("#eef7f2", _WAY_COLOUR) if is_on_way else ("#f6f8fa", "#a3adb7")
    return "\n".join(
        [
            _rectangle(box, fill, stroke),
            _text(box.x + 9, box.y + 19, "room", f"{name}/"),
            *(
                _text(box.x + 9, box.y + 35 + 13 * number, "says", line)
                for number, line in enumerate(lines)
            ),
            f"<title>{escape(name)}: {files} files. {escape(says)}</title>",
        ]
    )


def _rectangle(box: _Box, fill: str, stroke: str) -> str:
    return (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{_BOX_WIDTH:.0f}" '
        f'height="{_BOX_HEIGHT:.0f}" rx="6" fill="{fill}" stroke="{stroke}"/>'
    )


def _way_arrows(steps: Sequence[Step], boxes: Mapping[str, _Box]) -> list[str]:
    pairs = dict.fromkeys((s.caller, s.called) for s in steps if s.caller != s.called)
    return [_arrow(boxes[a], boxes[b], _WAY_COLOUR, 2.4) for a, b in pairs]


def _numbers(steps: Sequence[Step], boxes: Mapping[str, _Box]) -> list[str]:
    """The number of each step at the room in which it happens."""
    rooms: dict[str, list[str]] = {}
    for step in steps:
        rooms.setdefault(step.called, []).append(step.number)
    lines = []
    for room, numbers in rooms.items():
        for place, number in enumerate(reversed(numbers)):
            x, y = boxes[room].x + _BOX_WIDTH - 14 - 22 * place, boxes[room].y + 1
            lines.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9.5" fill="{_WAY_COLOUR}"/>'
                f'<text class="number" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">'
                f"{number}</text>"
            )
    return lines


def _arrow(start: _Box, end: _Box, colour: str, width: float) -> str:
    (x1, _), (x2, _) = start.middle, end.middle
    y1, y2 = start.y + _BOX_HEIGHT, end.y
    name = "way" if colour == _WAY_COLOUR else "import"
    return (
        f'<path d="M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + 34:.1f} {x2:.1f} {y2 - 34:.1f} '
        f'{x2:.1f} {y2 - 5:.1f}" fill="none" stroke="{colour}" stroke-width="{width}" '
        f'marker-end="url(#{name})"/>'
    )


def _markers() -> list[str]:
    return [
        f'<marker id="{name}" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="{size}" '
        f'markerHeight="{size}" orient="auto"><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
        for name, colour, size in (("way", _WAY_COLOUR, 4.5), ("import", _IMPORT_COLOUR, 6))
    ]


def _legend(way: Way, y: float) -> list[str]:
    rows = math.ceil(len(way.steps) / 2)
    lines = []
    for place, step in enumerate(way.steps):
        column, row = divmod(place, rows)
        x = _MARGIN + column * (_WIDTH / 2)
        text = f"{step.number}. {_short(step.called, way)}/: {step.text}"
        lines.append(_text(x, y + row * _LINE, "step", text))
    return lines


def _text(x: float, y: float, kind: str, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
