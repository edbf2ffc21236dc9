"""Rows of the record as somebody with a database browser reads and writes them."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from typing import Any


def read(db: sqlite3.Connection, number: int) -> str:
    (content,) = db.execute("SELECT content FROM entry WHERE number = ?", (number,)).fetchone()
    return str(content)


def write(db: sqlite3.Connection, number: int, content: str, *, hashed: bool = False) -> None:
    db.execute("UPDATE entry SET content = ? WHERE number = ?", (content, number))
    if hashed:
        new = hashlib.sha256(content.encode()).hexdigest()
        db.execute("UPDATE entry SET hash = ? WHERE number = ?", (new, number))


def canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values that are no object and no list; of empty lists, too."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, ...]] = []
    for key, one in inner:
        nested = leaves(one, (*path, key)) if isinstance(one, dict | list) else []
        found += nested or [(*path, key)]
    return found


def another(value: Any, rng: random.Random) -> Any:
    """A value of the same kind that a person would put in its place."""
    if isinstance(value, str) and value:
        place = rng.randrange(len(value))
        new = rng.choice([c for c in "0123456789abcdefXY" if c != value[place]])
        return rng.choice(
            [value[:place] + new + value[place + 1 :], value + "x", value[::-1] + "1"]
        )
    if isinstance(value, bool | None | list):
        return "neutrophil"
    if isinstance(value, int | float):
        return rng.choice([value + 1, value * 2 + 1, -1 - value])
    return "other"


def some_field(db: sqlite3.Connection, number: int, rng: random.Random) -> str:
    """The content of an entry with one value changed, added or left out."""
    fields = json.loads(read(db, number))
    path = rng.choice(leaves(fields))
    parent = fields
    for key in path[:-1]:
        parent = parent[key]
    how = rng.random()
    if how < 0.85:
        parent[path[-1]] = another(parent[path[-1]], rng)
    elif how < 0.95:
        del parent[path[-1]]
    else:
        fields["approved"] = True
    return canonical(fields)
