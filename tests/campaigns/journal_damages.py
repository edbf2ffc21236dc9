"""Ways in which a journal may be damaged: what a disk, a copy or a person leaves of it."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

Damage: TypeAlias = Callable[[Path, random.Random], None]

PAGE = 4096
# What no daemon writes, as SQL.
VALUES = (
    *("NULL", "-1", "0", "1", "7", "9223372036854775807", "-9223372036854775808", "9e999"),
    *("-9e999", "1e308", "0.5", "''", "'claimed'", "'waiting'", "'done'", "'labelled'"),
    *("'rejected'", "'truncated'", "'look'", "CAST(x'fffe41' AS TEXT)", "x'fffe'", "x'00'", "x''"),
    *("CAST('/etc/passwd' AS BLOB)", "CAST('../../a.jpg' AS BLOB)", "CAST('a//b.jpg' AS BLOB)"),
    *("CAST('a.jpg' || x'00' AS BLOB)", "'text where a number is'", "zeroblob(100000)"),
)
COLUMNS = (
    *("id", "root", "path", "size_bytes", "mtime_ns", "is_current", "state", "attempts"),
    *("interruptions", "next_try_s", "unfinished_since_s", "status", "label", "confidence"),
    *("reason", "sha256", "recorded_at", "finished_at", "ctime_ns", "was_mtime_ns", "recheck"),
    *("cause", "looks", "next_look_at", "false_alarms", "doubted_until", "bundle_sha256"),
)
INDEXES = ("current", "claimed", "waiting", "finished", "rejected", "look")


def flip_bytes(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 3, 20, 200))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def flip_bytes_of_one_page(path: Path, chance: random.Random) -> None:
    """Where pages say what they are, and where their cells lie."""
    content = bytearray(path.read_bytes())
    start = PAGE * chance.randrange(len(content) // PAGE)
    for _ in range(chance.choice((1, 2, 8))):
        content[start + chance.randrange(120)] = chance.randrange(256)
    path.write_bytes(content)


def swap_pages(path: Path, chance: random.Random) -> None:
    pages = _pages(path)
    one, other = (chance.randrange(len(pages)) for _ in range(2))
    pages[one], pages[other] = pages[other], pages[one]
    path.write_bytes(b"".join(pages))


def repeat_page(path: Path, chance: random.Random) -> None:
    pages = _pages(path)
    pages[chance.randrange(1, len(pages))] = chance.choice(pages)
    path.write_bytes(b"".join(pages))


def spoil_page(path: Path, chance: random.Random) -> None:
    pages = _pages(path)
    spoilt = chance.choice((bytes(PAGE), b"\xff" * PAGE, chance.randbytes(PAGE)))
    pages[chance.randrange(len(pages))] = spoilt
    path.write_bytes(b"".join(pages))


def point_children_upwards(path: Path, chance: random.Random) -> None:
    """An inner page of a tree names a page of its own tree: whoever follows goes in circles."""
    pages = _pages(path)
    inner = [n for n, page in enumerate(pages) if page[0] in (2, 5)]
    if not inner:
        return
    number = chance.choice(inner)
    page = bytearray(pages[number])
    cells = int.from_bytes(page[3:5], "big")
    for cell in range(cells):
        if chance.random() < 0.7:
            at = int.from_bytes(page[12 + 2 * cell : 14 + 2 * cell], "big")
            page[at : at + 4] = (chance.choice(inner) + 1).to_bytes(4, "big")
    if chance.random() < 0.7:
        page[8:12] = (chance.choice(inner) + 1).to_bytes(4, "big")
    pages[number] = bytes(page)
    path.write_bytes(b"".join(pages))


def truncate(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.choice((0, 1, 99, PAGE, chance.randrange(path.stat().st_size))))


def append(path: Path, chance: random.Random) -> None:
    with path.open("ab") as file:
        file.write(chance.randbytes(chance.choice((1, PAGE, 3 * PAGE))))


def spoil_log(path: Path, chance: random.Random) -> None:
    """A write-ahead log of a process that was killed, whose bytes are others by now."""
    log = path.with_name(f"{path.name}-wal")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE image SET cause = 'x' WHERE state = 'waiting'")
        db.commit()
        content = bytearray(log.read_bytes()), path.read_bytes()
    path.write_bytes(content[1])
    for _ in range(chance.choice((0, 1, 5, 50))):
        content[0][chance.randrange(len(content[0]))] ^= 1 << chance.randrange(8)
    log.write_bytes(content[0][: chance.choice((len(content[0]), len(content[0]) // 2, 32))])


def set_values(path: Path, chance: random.Random) -> None:
    with _forced(path) as db:
        for _ in range(chance.choice((1, 1, 3))):
            column, value = chance.choice(COLUMNS), chance.choice(VALUES)
            rows = chance.choice(("1", "id % 9 = 3", "state = 'waiting'", "status = 'rejected'"))
            with suppress(sqlite3.Error):
                db.execute(f"UPDATE OR IGNORE image SET {column} = {value} WHERE {rows}")  # noqa: S608


def set_null(path: Path, chance: random.Random) -> None:
    """As `set_values`, past NOT NULL, which is a promise of the schema alone."""
    with _forced(path) as db:
        text = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'image'").fetchone()[0]
        _set_schema(db, "image", text.replace("NOT NULL", ""))
    with _forced(path) as db:
        column, value = chance.choice(COLUMNS), chance.choice(("NULL", "9e999 - 9e999"))
        with suppress(sqlite3.Error):
            db.execute(f"UPDATE OR IGNORE image SET {column} = {value} WHERE id % 5 = 2")  # noqa: S608
        _set_schema(db, "image", text)


def stale_index(path: Path, chance: random.Random) -> None:
    """Rows change, one of their indexes does not hear of it."""
    state = chance.choice(("done", "waiting", "claimed", "gone"))
    past_index(
        path,
        f"image_{chance.choice(INDEXES)}",
        f"UPDATE OR IGNORE image SET state = '{state}' WHERE id % 3 = 1",  # noqa: S608
        "UPDATE OR IGNORE image SET finished_at = 99, next_try_s = 0 WHERE id % 4",
    )


def past_index(path: Path, name: str, *statements: str) -> None:
    """Run statements whose changes one index does not hear of."""
    with _forced(path) as db:
        row = db.execute("SELECT * FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
        db.execute("DELETE FROM sqlite_schema WHERE name = ?", (name,))
    with _forced(path) as db:
        for statement in statements:
            with suppress(sqlite3.Error):
                db.execute(statement)
    with _forced(path) as db:
        db.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", row)


def change_schema(path: Path, chance: random.Random) -> None:
    index = f"image_{chance.choice(INDEXES)}"
    statements = (
        f"DROP INDEX {index}",
        "DROP TABLE root",
        "DROP TABLE proof",
        "ALTER TABLE image RENAME TO picture",
        "ALTER TABLE image DROP COLUMN cause",
        "ALTER TABLE image ADD COLUMN extra TEXT",
        "CREATE TRIGGER t AFTER UPDATE ON image BEGIN DELETE FROM image WHERE id = 1; END",
        "CREATE VIEW v AS SELECT * FROM image",
        "DELETE FROM root",
        "UPDATE root SET folder = 'text' WHERE id = 1",
        "UPDATE root SET folder = x'ff00' WHERE id = 1",
        f"PRAGMA user_version = {chance.choice((-5, 0, 1, 3, 2**31 - 1))}",
        "PRAGMA journal_mode = DELETE",
        "ANALYZE",
    )
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(chance.choice(statements))


def spoil_schema(path: Path, chance: random.Random) -> None:
    text = chance.choice(("x'ff'", "'CREATE TABLE image (x'", "NULL", "'CREATE INDEX ' || x'fe'"))
    with _forced(path) as db:
        name = chance.choice(("image", "root", "image_waiting", "image_current"))
        what = chance.choice(("sql", "name", "tbl_name", "type"))
        db.execute(
            f"UPDATE sqlite_schema SET {what} = CAST({text} AS TEXT) WHERE name = ?",  # noqa: S608
            (name,),
        )


def move_root_page(path: Path, chance: random.Random) -> None:
    with _forced(path) as db:
        number = chance.randrange(0, 40)
        name = chance.choice(("image", "root", "proof", *(f"image_{i}" for i in INDEXES)))
        db.execute("UPDATE sqlite_schema SET rootpage = ? WHERE name = ?", (number, name))


DAMAGES: dict[str, Damage] = {
    damage.__name__: damage
    for damage in (
        *(flip_bytes, flip_bytes_of_one_page, swap_pages, repeat_page, spoil_page),
        *(point_children_upwards, truncate, append, spoil_log, set_values, set_values),
        *(set_null, stale_index, change_schema, spoil_schema, move_root_page),
    )
}


def _pages(path: Path) -> list[bytes]:
    content = path.read_bytes()
    return [content[start : start + PAGE] for start in range(0, len(content), PAGE)]


@contextmanager
def _forced(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        yield db


def _set_schema(db: sqlite3.Connection, name: str, text: str) -> None:
    db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (text, name))
