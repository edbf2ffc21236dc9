"""The rooms of the product: drawn into docs/, or counted.

python -m tests.rooms                    draws both ways; a test compares them with the imports
python -m tests.rooms figures [CHECKOUT]  counts rooms, files, lines and functions
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.rooms.drawing import draw
from tests.rooms.figures import figures
from tests.rooms.graph import ROOT, read_house
from tests.rooms.ways import WAYS


def main(words: list[str]) -> None:
    """Do what the command line asks for."""
    if words[:1] == ["figures"]:
        root = Path(*words[1:2]) if words[1:] else ROOT
        for name, value in figures(read_house(root), root).items():
            print(f"{name:28}{value}")  # noqa: T201
        return
    house = read_house()
    for way in WAYS:
        (ROOT / way.file).write_text(draw(house, way, ROOT), "utf-8")
        print(way.file)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
