"""What somebody with a database browser, or an editor of bytes, would do to a record.

Each takes an open database whose triggers are away, and the number of the last entry. It returns
the numbers of entries at which the check must find it, or words that the line must have.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Callable
from typing import Final, TypeAlias

from tests.campaigns.tampering.rows import another, canonical, read, some_field, write

Place: TypeAlias = set[int | str]
Tamper: TypeAlias = Callable[[sqlite3.Connection, int, random.Random], Place]
HEAD: Final = "head of the record"
END: Final = "the record ends with"


def field(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    number = rng.randint(1, last)
    write(db, number, some_field(db, number, rng))
    return {number}


def field_and_hash(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    number = rng.randint(1, last)
    write(db, number, some_field(db, number, rng), hashed=True)
    return {number, number + 1} if number < last else {number, HEAD}


def label(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    """One label into another, in the text: what somebody would do who hides a mistake."""
    number = rng.randint(1, last)
    content = read(db, number)
    for old, new in (("neutrophil", "ig"), ("lymphocyte", "other"), ("Müller", "Meier")):
        if old in content:
            write(db, number, content.replace(old, new, 1))
            return {number}
    return field(db, last, rng)


def character(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    number = rng.randint(1, last)
    content = read(db, number)
    place = rng.randrange(len(content))
    new = rng.choice([c for c in '0aZ{},:" \\é\0' if c != content[place]])
    kinds = [content[:place] + new + content[place + 1 :]]
    kinds += [content[:place] + content[place + 1 :], content[:place] + new + content[place:]]
    write(db, number, rng.choice(kinds))
    return {number}


def form(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    """The same values, written in another form."""
    number = rng.randint(1, last)
    value = json.loads(read(db, number))
    forms = [json.dumps(value), json.dumps(value, indent=1, ensure_ascii=False), "", "{}", "null"]
    write(db, number, rng.choice([*forms, canonical(value) + "\n"]))
    return {number}


def column(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    number = rng.randint(1, last)
    name = rng.choice(["hash", "request", "slide_key", "action", "undoes"])
    query = f"SELECT {name} FROM entry WHERE number = ?"  # noqa: S608 - constants
    (old,) = db.execute(query, (number,)).fetchone()
    new = (old or 0) + 1 if name == "undoes" else another(old, rng)
    if name == "request":  # no two entries may have the same
        new = f"{rng.getrandbits(128):032x}"
    query = f"UPDATE entry SET {name} = ? WHERE number = ?"  # noqa: S608 - constants
    db.execute(query, (new, number))
    return {number, number + 1}


def bytes_that_are_no_text(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    number = rng.randint(1, last)
    name = rng.choice(["content", "slide_key", "request", "action"])
    changed = f"{name} = CAST(x'ff80' || {name} AS TEXT)"
    db.execute(f"UPDATE entry SET {changed} WHERE number = ?", (number,))  # noqa: S608 - constants
    return {number}


def deleted(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    number = rng.randint(1, last - 1)
    end = min(last - 1, number + rng.choice([0, 0, 1, 5]))
    db.execute("DELETE FROM entry WHERE number BETWEEN ? AND ?", (number, end))
    return {end + 1}


def deleted_and_closed(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    """An entry deleted, those after it numbered anew."""
    number = rng.randint(1, last - 1)
    db.execute("DELETE FROM entry WHERE number = ?", (number,))
    db.execute("UPDATE entry SET number = -number WHERE number > ?", (number,))
    db.execute("UPDATE entry SET number = -number - 1 WHERE number < 0")
    if rng.random() < 0.5:
        db.execute("UPDATE head SET number = number - 1")
    return {number}


def swapped(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    one, two = sorted(rng.sample(range(1, last + 1), 2))
    for old, new in ((one, 0), (two, one), (0, two)):
        db.execute("UPDATE entry SET number = ? WHERE number = ?", (new, old))
    return {one}


def contents_swapped(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    one, two = sorted(rng.sample(range(1, last + 1), 2))
    contents = read(db, one), read(db, two)
    write(db, one, contents[1], hashed=True)
    write(db, two, contents[0], hashed=True)
    return {one}


def renumbered(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    number = rng.randint(1, last)
    new = rng.choice([-number, 0, last + 1, last + 10**6, 1 << 62])
    db.execute("UPDATE entry SET number = ? WHERE number = ?", (new, number))
    return {new, number + 1} if number < last else {new}


def doubled(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    """A copy of an entry at the end or in the middle, with and without the head moved on."""
    number = rng.randint(1, last)
    place = last + 1 if rng.random() < 0.5 else rng.randint(1, last)
    db.execute("UPDATE entry SET number = -number WHERE number >= ?", (place,))
    db.execute("UPDATE entry SET number = 1 - number WHERE number < 0")
    source = number if number < place else number + 1
    db.execute(
        "INSERT INTO entry SELECT ?, hash, ?, slide_key, action, undoes, content "
        "FROM entry WHERE number = ?",
        (place, f"{rng.getrandbits(128):032x}", source),
    )
    if rng.random() < 0.5:
        db.execute(
            "UPDATE head SET number = number + 1, "
            "hash = (SELECT hash FROM entry ORDER BY number DESC LIMIT 1)"
        )
    return {place}


def inserted(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    """An entry that was never made, with its own hash, between two others."""
    place = rng.randint(1, last)
    fields = json.loads(read(db, place))
    fields |= {"request": f"{rng.getrandbits(128):032x}", "text": "seen and found right"}
    content = canonical(fields)
    db.execute("UPDATE entry SET number = -number WHERE number >= ?", (place,))
    db.execute("UPDATE entry SET number = 1 - number WHERE number < 0")
    db.execute(
        "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *(place, hashlib.sha256(content.encode()).hexdigest(), fields["request"]),
            *(fields["slide_key"], fields["action"], fields["undoes"], content),
        ),
    )
    db.execute("UPDATE head SET number = number + 1")
    return {place, place + 1}


def moved(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    """A decision moved to another slide, in content and column."""
    number, other = rng.sample(range(1, last + 1), 2)
    fields, target = json.loads(read(db, number)), json.loads(read(db, other))
    key = "F" * 20 if target["slide_key"] == fields["slide_key"] else target["slide_key"]
    fields |= {"slide_key": key, "sample_id": target["sample_id"]}
    write(db, number, canonical(fields), hashed=rng.random() < 0.5)
    if rng.random() < 0.8:
        db.execute("UPDATE entry SET slide_key = ? WHERE number = ?", (key, number))
    return {number, number + 1} if number < last else {number, HEAD}


def time(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    """Dated earlier or later, by a second to years, with the hash made anew."""
    number = rng.randint(1, last)
    fields = json.loads(read(db, number))
    at = fields["at"]
    new = rng.choice(
        ["2025" + at[4:], "2030" + at[4:], at[:17] + "59.999+00:00", at[:-6] + "+01:00"]
    )
    fields["at"] = new if new != at else "2026-01-01T00:00:00+00:00"
    write(db, number, canonical(fields), hashed=True)
    return {number, number + 1} if number < last else {number, HEAD}


def times_swapped(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    one, two = sorted(rng.sample(range(1, last + 1), 2))
    a, b = json.loads(read(db, one)), json.loads(read(db, two))
    a["at"], b["at"] = b["at"], a["at"]
    write(db, one, canonical(a), hashed=rng.random() < 0.5)
    write(db, two, canonical(b))
    return {one, one + 1}


def head(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    kind = rng.randrange(4)
    if kind == 0:
        db.execute("DELETE FROM head")
        return {HEAD}
    if kind == 1:
        db.execute("UPDATE head SET hash = ?", (f"{rng.getrandbits(256):064x}",))
        return {HEAD}
    number = (
        rng.choice([0, -1, rng.randint(0, last - 1)]) if kind == 2 else last + rng.randint(1, 9)
    )
    db.execute("UPDATE head SET number = ?", (number,))
    return {HEAD, END}


def tail(db: sqlite3.Connection, last: int, rng: random.Random) -> Place:
    """The last entries deleted; the head stays, or its number alone is set."""
    new = last - rng.randint(1, min(9, last))
    db.execute("DELETE FROM entry WHERE number > ?", (new,))
    if rng.random() < 0.5:
        db.execute("UPDATE head SET number = ?", (new,))
    return {HEAD, END}


def emptied(db: sqlite3.Connection, _last: int, rng: random.Random) -> Place:
    db.execute("DELETE FROM entry")
    if rng.random() < 0.5:
        db.execute("UPDATE head SET number = 0")
    return {HEAD, END}


KINDS: Final[dict[str, Tamper]] = {
    "a field changed": field,
    "a field changed, its hash made anew": field_and_hash,
    "a label or name changed in the text": label,
    "a character changed": character,
    "the same values in another form": form,
    "a column changed": column,
    "bytes that are no text": bytes_that_are_no_text,
    "entries deleted": deleted,
    "an entry deleted, the rest numbered anew": deleted_and_closed,
    "two entries swapped": swapped,
    "two contents swapped": contents_swapped,
    "an entry renumbered": renumbered,
    "an entry doubled": doubled,
    "an entry made up": inserted,
    "an entry moved to another slide": moved,
    "a time changed": time,
    "two times swapped": times_swapped,
    "the head changed": head,
    "the end cut, the head left": tail,
    "all entries deleted": emptied,
}
