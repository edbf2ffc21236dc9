"""The rooms of the product, which are its folders, and the imports between them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
PACKAGES = ("edge", "converters", "daemon")
# What everything may import, in the folder of a package whose other files stand higher.
GROUND = frozenset({"edge/__init__.py", "edge/errors.py", "edge/failpoints.py"})

Edges = Mapping[tuple[str, str], frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class House:
    """Files as paths from the checkout's root, and which file imports which."""

    files: frozenset[str]
    imports: frozenset[tuple[str, str]]

    def rooms(self) -> dict[str, list[str]]:
        """The files of each folder."""
        found: dict[str, list[str]] = {}
        for file in sorted(self.files):
            found.setdefault(folder_of(file), []).append(file)
        return found

    def between(self, room_of: Mapping[str, str]) -> Edges:
        """Room to room, with the imports behind it, for files that have a room."""
        found: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for importer, imported in self.imports:
            rooms = room_of.get(importer), room_of.get(imported)
            if rooms[0] and rooms[1] and rooms[0] != rooms[1] and not GROUND & {importer, imported}:
                found.setdefault((rooms[0], rooms[1]), set()).add((importer, imported))
        return {rooms: frozenset(files) for rooms, files in found.items()}


def folder_of(file: str) -> str:
    """The folder that holds a file."""
    return str(PurePosixPath(file).parent)


def read_house(root: Path = ROOT) -> House:
    """The packages as they stand in a checkout."""
    paths = [p for package in PACKAGES for p in sorted((root / package).rglob("*.py"))]
    modules = {module_name(p.relative_to(root)): str(p.relative_to(root)) for p in paths}
    imports = {
        (str(path.relative_to(root)), modules[name])
        for path in paths
        for name in imported_modules(path, modules)
    }
    return House(frozenset(modules.values()), frozenset(imports))


def module_name(path: Path) -> str:
    """The name under which Python imports a file."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, known: Iterable[str]) -> set[str]:
    """The known modules that a file imports, at its top or inside of a function."""
    names: set[str] = set()
    for module, taken in imports_in(path):
        names.update({f"{module}.{name}" for name in taken} & set(known) or {module})
    return names & set(known)


def imports_in(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each module that a file imports, and the names that it takes from it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, tuple(alias.name for alias in node.names)


def children_of(folder: str, files: Iterable[str]) -> dict[str, str]:
    """For each file below a folder, the subfolder that it is in; the folder itself for its own."""
    found = {}
    for file in files:
        if file.startswith(f"{folder}/"):
            rest = file.removeprefix(f"{folder}/")
            found[file] = f"{folder}/{rest.split('/')[0]}" if "/" in rest else folder
    return found


def floors(rooms: Iterable[str], edges: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The floor of each room: 1 imports no other, each stands above all that it imports.

    Raises:
        ValueError: rooms import one another in a circle.
    """
    below: dict[str, set[str]] = {room: set() for room in rooms}
    for importer, imported in edges:
        below[importer].add(imported)
    found: dict[str, int] = {}
    while len(found) < len(below):
        ready = [r for r in below if r not in found and below[r] <= found.keys()]
        if not ready:
            circle = sorted(below.keys() - found.keys())
            raise ValueError(f"rooms import one another in a circle, among {', '.join(circle)}")
        found |= {room: 1 + max((found[b] for b in below[room]), default=0) for room in ready}
    return found


def needed(edges: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges that do not follow from the others (transitive reduction of a graph)."""
    direct = set(edges)
    reach: dict[str, set[str]] = {}

    def reached(room: str) -> set[str]:
        if room not in reach:
            nexts = {b for a, b in direct if a == room}
            reach[room] = nexts.union(*map(reached, nexts))
        return reach[room]

    return {
        (a, b)
        for a, b in direct
        if not any(b in reached(c) for x, c in direct if x == a and c != b)
    }
