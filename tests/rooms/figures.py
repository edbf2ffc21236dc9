"""Size and shape of the product's code, for comparing two states of a checkout."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.rooms.graph import House


def figures(house: House, root: Path) -> dict[str, int | str]:
    """Rooms, files, lines and functions of the packages, and the lines of their tests.

    Args:
        house: of the checkout `root`.
    """
    rooms = house.rooms()
    sizes = {file: len((root / file).read_text("utf-8").splitlines()) for file in house.files}
    lengths = sorted(length for file in house.files for length in _functions(root / file))
    largest = max(sizes, key=lambda file: sizes[file])
    fullest = max(rooms, key=lambda room: len(rooms[room]))
    room_of = {file: room for room, files in rooms.items() for file in files}
    tests = sorted((root / "tests").rglob("*.py"))
    return {
        "rooms": len(rooms),
        "files": len(house.files),
        "files per room, median": round(statistics.median(len(files) for files in rooms.values())),
        "files per room, most": f"{len(rooms[fullest])} in {fullest}/",
        "lines": sum(sizes.values()),
        "largest file": f"{sizes[largest]} lines, {largest}",
        "functions": len(lengths),
        "function, median lines": lengths[len(lengths) // 2],
        "function, 90th percentile": lengths[len(lengths) * 9 // 10],
        "function, longest": lengths[-1],
        "imports between files": len(house.imports),
        "imports between rooms": len(house.between(room_of)),
        "test files": len(tests),
        "test lines": sum(len(path.read_text("utf-8").splitlines()) for path in tests),
    }


def _functions(path: Path) -> Iterator[int]:
    """Lines of each function, its docstring left out."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            has_docstring = ast.get_docstring(node, clean=False) is not None
            first = node.body[0]
            said = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
            yield (node.end_lineno or 0) - node.lineno + 1 - said
