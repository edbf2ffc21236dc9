"""Draws the rooms into docs/: `python -m tests.rooms`. A test runs it and compares."""

from __future__ import annotations

from tests.rooms.drawing import draw
from tests.rooms.graph import ROOT, read_house
from tests.rooms.ways import WAYS

if __name__ == "__main__":
    house = read_house()
    for way in WAYS:
        (ROOT / way.file).write_text(draw(house, way, ROOT), "utf-8")
        print(way.file)  # noqa: T201
