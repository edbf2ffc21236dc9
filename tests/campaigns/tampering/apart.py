"""Tampers by somebody who computes the chain and the head anew: only an anchor shows them."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from typing import Final

from tests.campaigns.tampering.rows import canonical, read
from tests.campaigns.tampering.tampers import Tamper

_NONE: Final = "0" * 64


def chain_anew(db: sqlite3.Connection) -> None:
    """Give every entry its number, the hash of the one before and its own, and the head."""
    rows = db.execute("SELECT number, content FROM entry ORDER BY number").fetchall()
    new = {number: place for place, (number, _) in enumerate(rows, 1)}
    db.execute("DELETE FROM entry")
    previous, last = _NONE, 0
    for number, text in rows:
        fields = json.loads(text)
        last = new[number]
        undoes = new.get(fields["undoes"], fields["undoes"]) if fields["undoes"] else None
        fields |= {"number": last, "previous": previous, "undoes": undoes}
        content = canonical(fields)
        previous = hashlib.sha256(content.encode()).hexdigest()
        db.execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(last, previous, fields["request"], fields["slide_key"]),
                *(fields["action"], undoes, content),
            ),
        )
    db.execute("UPDATE head SET number = ?, hash = ?", (last, previous))


def label_anew(db: sqlite3.Connection, last: int, rng: random.Random) -> set[int | str]:
    """One label of one cell changed, and the chain made anew."""
    while True:
        number = rng.randint(1, last)
        fields = json.loads(read(db, number))
        if fields["cells"]:
            break
    cell = rng.choice(fields["cells"])
    cell["after"] = "ig" if cell["after"] != "ig" else "monocyte"
    db.execute("UPDATE entry SET content = ? WHERE number = ?", (canonical(fields), number))
    chain_anew(db)
    return {last}


def person_anew(db: sqlite3.Connection, last: int, rng: random.Random) -> set[int | str]:
    """All that one person did said of another one, and the chain made anew."""
    name = rng.choice(["Dr. No", "Rosa Klein"])
    rows = db.execute("SELECT number, content FROM entry").fetchall()
    who = json.loads(rng.choice(rows)[1])["by"]["id"]
    for number, text in rows:
        fields = json.loads(text)
        if fields["by"]["id"] == who:
            fields["by"]["name"] = name
            content = canonical(fields)
            db.execute("UPDATE entry SET content = ? WHERE number = ?", (content, number))
    chain_anew(db)
    return {last}


def without_slide(db: sqlite3.Connection, last: int, rng: random.Random) -> set[int | str]:
    """All entries of a slide taken out, and the chain made anew."""
    key = json.loads(read(db, rng.randint(1, last - 1)))["slide_key"]
    db.execute("DELETE FROM entry WHERE slide_key = ?", (key,))
    chain_anew(db)
    return {last}


def tail_and_head(db: sqlite3.Connection, last: int, rng: random.Random) -> set[int | str]:
    """The last entries deleted and the head set back: as an older copy of the file."""
    db.execute("DELETE FROM entry WHERE number > ?", (last - rng.randint(1, min(9, last - 1)),))
    db.execute(
        "UPDATE head SET (number, hash) = "
        "(SELECT number, hash FROM entry ORDER BY number DESC LIMIT 1)"
    )
    return {last}


APART: Final[dict[str, Tamper]] = {
    "a label changed, the chain made anew": label_anew,
    "a person's name changed, the chain made anew": person_anew,
    "a slide taken out, the chain made anew": without_slide,
    "the end cut, the head set back": tail_and_head,
}
