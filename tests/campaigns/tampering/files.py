"""What somebody would do to the file itself, to its structure, and to files beside it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, TypeAlias

# Returns words, one of which the check must say; none: any line, or a refusal to open it, will do.
FileTamper: TypeAlias = Callable[[Path, random.Random], tuple[str, ...]]


def flipped(path: Path, rng: random.Random) -> tuple[str, ...]:
    """One bit to sixty-four bytes of the file changed."""
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content))
    if rng.random() < 0.5:
        content[place] ^= 1 << rng.randrange(8)
    else:
        size = min(rng.choice([1, 2, 8, 64]), len(content) - place)
        content[place : place + size] = rng.randbytes(size)
    path.write_bytes(content)
    return ()


def cut(path: Path, rng: random.Random) -> tuple[str, ...]:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(1, len(content))])
    return ()


def page_zeroed(path: Path, rng: random.Random) -> tuple[str, ...]:
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content) // 4096) * 4096
    content[place : place + 4096] = bytes(4096)
    path.write_bytes(content)
    return ()


def pages_swapped(path: Path, rng: random.Random) -> tuple[str, ...]:
    content = bytearray(path.read_bytes())
    one, two = (4096 * page for page in rng.sample(range(len(content) // 4096), 2))
    a, b = content[one : one + 4096], content[two : two + 4096]
    content[one : one + 4096], content[two : two + 4096] = b, a
    path.write_bytes(content)
    return ()


def structure(path: Path, rng: random.Random) -> tuple[str, ...]:
    """A trigger or index taken away, made harmless or added; a column or a view added."""
    statements = {
        "entry_stays": "DROP TRIGGER entry_stays",
        "entry_remains": "DROP TRIGGER entry_remains",
        "entry_follows": "DROP TRIGGER entry_follows",
        "head_moves_on": "DROP TRIGGER head_moves_on",
        "head_remains": "DROP TRIGGER head_remains",
        "entry_slide": "DROP INDEX entry_slide",
        "note": "CREATE TABLE note (text TEXT)",
        "clean": "CREATE TRIGGER clean AFTER INSERT ON entry BEGIN SELECT 1; END",
        "seen": "CREATE VIEW seen AS SELECT number FROM entry",
        "entry": "ALTER TABLE entry ADD COLUMN remark TEXT",
        "head": "ALTER TABLE head RENAME COLUMN hash TO sum",
    }
    name = rng.choice(sorted(statements))
    with closing(sqlite3.connect(path)) as db:
        db.execute(statements[name])
        db.commit()
    return (name,)


def version(path: Path, rng: random.Random) -> tuple[str, ...]:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {rng.choice([2, 7, 99])}")
    return ("has version",)


def another_database(path: Path, _rng: random.Random) -> tuple[str, ...]:
    """Another program's database, with the version of the record."""
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE result (slide_key TEXT)")
        db.execute("PRAGMA user_version = 1")
    return ("no such table",)


def verification_file(path: Path, rng: random.Random) -> tuple[str, ...]:
    """A verification file changed, removed, swapped with another or made a link."""
    files = sorted((path.parent / "verifications").iterdir())
    one, two = rng.sample(files, 2)
    kind = rng.randrange(4)
    if kind == 0:
        content = bytearray(one.read_bytes())
        content[rng.randrange(len(content))] ^= 1
        one.write_bytes(content)
    elif kind == 1:
        one.unlink()
        return ("is missing",)
    elif kind == 2:
        one.write_bytes(two.read_bytes())
    else:
        one.unlink()
        one.symlink_to(two)
        return ("cannot be read",)
    return ("was changed",)


FILES: Final[dict[str, FileTamper]] = {
    "bytes of the file changed": flipped,
    "the file cut": cut,
    "a page of the file zeroed": page_zeroed,
    "two pages of the file swapped": pages_swapped,
    "triggers, indexes or tables changed": structure,
    "another version": version,
    "another program's database": another_database,
    "a verification file changed": verification_file,
}
