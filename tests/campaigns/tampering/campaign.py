"""Tamper with copies of a real record: the check must find each, near its place.

    python -m tests.campaigns.tampering [--records 12000] [--slides 6] [--seed 1]

A tenth of the copies stay as they are, are compacted or are indexed anew: the check must find
nothing in them. Apart are counted those after which the whole chain was computed anew: there the
check must find nothing without an anchor, as it cannot, and must find it with one. Of bytes that
were changed in the file and that no row depends on, nothing needs to be found; they are counted
apart as well.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edge.errors import StorageError
from edge.results.review.record.anchor import Anchor
from edge.results.review.record.chain import Chain
from edge.results.review.record.database import NAME
from edge.results.review.record.record import Record
from tests.campaigns.tampering.apart import APART
from tests.campaigns.tampering.files import FILES, FileTamper
from tests.campaigns.tampering.made_record import make_record
from tests.campaigns.tampering.tampers import KINDS, Place, Tamper

# How often a kind of the file is drawn beside one of the rows.
_FILE_SHARE: Final = 0.25
_ENTRY: Final = re.compile(r"entry (-?\d+)")


@dataclass
class Figures:
    """What became of the copies."""

    found: Counter[str] = field(default_factory=Counter)
    total: Counter[str] = field(default_factory=Counter)
    harmless: int = 0
    untouched: int = 0
    apart: Counter[str] = field(default_factory=Counter)
    by_anchor: int = 0
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report."""
        kinds = [f"  {self.found[k]} of {self.total[k]}  {k}" for k in sorted(self.total)]
        apart = sum(self.apart.values())
        return [
            f"{sum(self.found.values())} of {sum(self.total.values())} found, near their places:",
            *kinds,
            f"{self.harmless} with changed bytes that no row depends on",
            f"{self.untouched} untouched, nothing found in them",
            f"{apart} whose chain was computed anew: {self.by_anchor} found with an anchor",
            *(f"PROBLEM {one}" for one in self.problems),
        ]


def run_campaign(
    folder: Path, *, records: int, slides: int, seed: int, show: Callable[[str], None]
) -> Figures:
    """Tamper with so many copies of a record."""
    rng = random.Random(seed)  # noqa: S311 - a campaign that can be repeated
    original = make_record(folder / "original", slides=slides, seed=seed)
    with Record.open(original.parent) as record:
        number, hash_ = record.head()
        triggers = _triggers(original)
    content = _content(original)
    figures = Figures()
    names = {"rows": sorted(KINDS), "files": sorted(FILES), "apart": sorted(APART)}
    for turn in range(records):
        copy = folder / "copy"
        shutil.copytree(original.parent, copy)
        one = _Copy(copy / NAME, triggers, content, Anchor(number, hash_[:12]), rng)
        name = f"record {turn}"
        if turn % 10 == 9:
            _untouched(one, figures, name)
        elif turn % 20 == 8:
            kind = names["apart"][turn // 20 % len(APART)]
            _anew(one, APART[kind], figures, f"{name}, {kind}")
        elif rng.random() < _FILE_SHARE:
            kind = rng.choice(names["files"])
            _file(one, FILES[kind], figures, (name, kind))
        else:
            kind = rng.choice(names["rows"])
            _rows(one, KINDS[kind], figures, (name, kind))
        shutil.rmtree(copy)
        if turn % 500 == 499:
            show(f"{turn + 1} of {records}, {len(figures.problems)} problems")
    return figures


@dataclass(frozen=True)
class _Copy:
    path: Path
    triggers: list[tuple[str, str]]
    content: Any
    anchor: Anchor
    rng: random.Random

    def tamper(self, how: Tamper) -> Place:
        """Drop the triggers, tamper, and put them back as they were."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            for name, _ in self.triggers:
                db.execute(f"DROP TRIGGER {name}")
            (last,) = db.execute("SELECT number FROM head").fetchone()
            place = how(db, int(last), self.rng)
            for _, statement in self.triggers:
                db.execute(statement)
        return place

    def check(self, *anchors: Anchor) -> list[str]:
        """What the check says; a file that cannot be opened is one line."""
        try:
            with Record.open(self.path.parent) as record:
                verifications = self.path.parent / "verifications"
                return list(Chain(record, verifications, anchors).problems())
        except StorageError as error:
            return [str(error)]


def _rows(one: _Copy, tamper: Tamper, figures: Figures, names: tuple[str, str]) -> None:
    place = one.tamper(tamper)
    lines = one.check()
    figures.total[names[1]] += 1
    if _is_near(lines, place):
        figures.found[names[1]] += 1
    else:
        figures.problems.append(f"{', '.join(names)}: at {place}, found {lines[:3]}")


def _file(one: _Copy, tamper: FileTamper, figures: Figures, names: tuple[str, str]) -> None:
    words = tamper(one.path, one.rng)
    is_same = not words and _content(one.path) == one.content
    lines = one.check()
    if is_same and not lines:
        figures.harmless += 1
        return
    figures.total[names[1]] += 1
    if lines and (not words or any(word in line for word in words for line in lines)):
        figures.found[names[1]] += 1
    else:
        figures.problems.append(f"{', '.join(names)}: needed {words}, found {lines[:3]}")


def _anew(one: _Copy, tamper: Tamper, figures: Figures, name: str) -> None:
    one.tamper(tamper)
    without, with_anchor = one.check(), one.check(one.anchor)
    figures.apart[name.split(", ", 1)[1]] += 1
    if any("anchor" in line for line in with_anchor):
        figures.by_anchor += 1
    else:
        figures.problems.append(f"{name}: not found with the anchor")
    if without:
        figures.problems.append(f"{name}: not as an attacker would leave it: {without[:3]}")


def _untouched(one: _Copy, figures: Figures, name: str) -> None:
    with closing(sqlite3.connect(one.path)) as db:
        db.execute(one.rng.choice(["SELECT 1", "VACUUM", "REINDEX", "PRAGMA page_size"]))
    if lines := one.check(one.anchor):
        figures.problems.append(f"{name}, untouched: {lines[:3]}")
    else:
        figures.untouched += 1


def _is_near(lines: list[str], place: Place) -> bool:
    for line in lines:
        numbers = {int(number) for number in _ENTRY.findall(line)[:1]}
        if numbers & place or any(isinstance(word, str) and word in line for word in place):
            return True
    return False


def _triggers(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        return [(str(name), str(sql)) for name, sql in db.execute(query)]


def _content(path: Path) -> Any:
    """All that the file says; None if it cannot be read."""
    queries = (
        "SELECT * FROM entry ORDER BY number",
        "SELECT * FROM head",
        "SELECT type, name, sql FROM sqlite_schema ORDER BY name",
        "PRAGMA user_version",
    )
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return [db.execute(query).fetchall() for query in queries]
    except (sqlite3.Error, UnicodeDecodeError):
        return None


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--records", type=int, default=12_000)
    made.add_argument("--slides", type=int, default=6)
    made.add_argument("--seed", type=int, default=1)
    return made
