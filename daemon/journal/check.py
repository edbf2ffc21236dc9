# ruff: noqa: S608 - the parts are constants of this file
"""Checks at every start that the journal is undamaged.

SQLite also opens a file that lost bits or that somebody edited. Schema and indexes are compared
with those of a new journal. Every page and every value is checked if that takes about a second; in
a larger journal values are checked when they are read (`daemon/journal/rows.py`).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from typing import Any, Final

from daemon.journal.changes import STATES, STATUSES
from daemon.journal.rows import LAST_MOMENT_S, DamagedError
from daemon.journal.schema import COUNT_ROWS, statements

# A million rows, fifty days of a hospital, take 232 MB: 1.1 s for the pages, 6 s for the values.
PAGES_BYTES: Final = 256 * 2**20
ROWS_BYTES: Final = 48 * 2**20

# Without SQLite's own: indexes of keys, and tables made by ANALYZE.
_OBJECTS: Final = """
SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'
ORDER BY name
"""
_COLUMNS: Final = "SELECT name, type, [notnull], dflt_value, pk FROM pragma_table_xinfo(?)"


def _words(words: frozenset[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


def _numbers(*columns: str) -> str:
    return " OR ".join(f"typeof({c}) != 'integer' OR {c} < 0" for c in columns)


def _optional(kinds: str, *columns: str) -> str:
    return " OR ".join(f"typeof({c}) NOT IN ('null', {kinds})" for c in columns)


# Whether there is a row that no daemon writes. A comparison with NULL is NULL, so the type of
# columns that must have a value is checked first.
_FOREIGN: Final = f"""
SELECT EXISTS (SELECT 1 FROM image WHERE {{}} (
    typeof(path) != 'blob' OR typeof(mtime_ns) != 'integer' OR typeof(state) != 'text'
    OR {_numbers("id", "root", "size_bytes", "is_current", "attempts", "interruptions", "looks")}
    OR {_numbers("false_alarms")} OR is_current > 1
    OR state NOT IN ({_words(STATES)}) OR recheck NOT IN ('look', 'change')
    OR status NOT IN ({_words(STATUSES)}) OR (state = 'done') > (status IS NOT NULL)
    OR (status IS NULL) != (finished_at IS NULL) OR (status = 'rejected') != (reason IS NOT NULL)
    OR typeof(recorded_at) != 'real' OR typeof(next_try_s) != 'real'
    OR recorded_at NOT BETWEEN 0 AND {LAST_MOMENT_S}
    OR finished_at NOT BETWEEN 0 AND {LAST_MOMENT_S} OR next_try_s < -1e15
    OR {_optional("'integer'", "ctime_ns", "was_mtime_ns")}
    OR {_optional("'text'", "status", "label", "reason", "sha256", "bundle_sha256", "cause")}
    OR {_optional("'text'", "recheck")}
    OR {_optional("'real'", "confidence", "finished_at", "next_look_at", "doubted_until")}
    OR {_optional("'real'", "unfinished_since_s")}
    OR root NOT IN (SELECT id FROM root)
)) OR EXISTS (SELECT 1 FROM root WHERE typeof(folder) != 'blob' OR substr(folder, 1, 1) != x'2f')
"""
# Whether an index has a row as waiting or claimed and the table has not. Such a row would be
# claimed again and again, or keep `once` from ending. `ON row.id` reads the table, not the index.
_MISLED: Final = """
SELECT EXISTS (SELECT 1 FROM image AS given INDEXED BY image_{0} LEFT JOIN image AS row
               ON row.id = given.id WHERE given.state = '{0}' AND row.state IS NOT '{0}')
"""
_MISCOUNTED: Final = f"""
SELECT EXISTS ({COUNT_ROWS} EXCEPT SELECT * FROM tally)
    OR EXISTS (SELECT * FROM tally WHERE images != 0 EXCEPT {COUNT_ROWS})
"""
_EVERY_ROW: Final = _FOREIGN.format("")
_CLAIMED_ROWS: Final = _FOREIGN.format("state = 'claimed' AND")


def require_intact(connection: sqlite3.Connection, size_bytes: int) -> None:
    """Check the journal.

    Raises:
        DamagedError, sqlite3.Error: it is damaged.
    """
    if _schema(connection) != _right_schema():
        raise DamagedError("its tables or indexes are not those of this version")
    if size_bytes <= PAGES_BYTES:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise DamagedError(f"SQLite's check says: {found}")
    rows = _EVERY_ROW if size_bytes <= ROWS_BYTES else _CLAIMED_ROWS
    (is_foreign,) = connection.execute(rows).fetchone()
    if is_foreign != 0:
        raise DamagedError("it holds rows that no daemon wrote")
    if size_bytes <= ROWS_BYTES:
        (is_miscounted,) = connection.execute(_MISCOUNTED).fetchone()
        if is_miscounted != 0:
            raise DamagedError("its counts differ from its rows")
    for state in ("waiting", "claimed"):
        (is_misled,) = connection.execute(_MISLED.format(state)).fetchone()
        if is_misled != 0:
            raise DamagedError("an index differs from its table")


@cache
def _right_schema() -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(":memory:")) as new:
        for statement in statements(0):
            new.execute(statement)
        return _schema(new)


def _schema(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Tables by their columns, as their SQL text depends on upgrades; all else by its SQL text."""
    found: list[tuple[Any, ...]] = []
    for kind, name, table, text in connection.execute(_OBJECTS).fetchall():
        if kind == "table":
            found.append((name, *connection.execute(_COLUMNS, (name,)).fetchall()))
        else:
            found.append((kind, name, table, text))
    return found
