"""The file of the record."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge.database.file import DatabaseFile
from edge.files.atomic import make_folder

NAME: Final = "reviews.sqlite3"
_VERSION: Final = 1
_BUSY_S: Final = 10.0
# The content is plain text, so that any program can read it and compute its hash. The other columns
# repeat parts of it, to find entries. No statement of this program changes an entry; the triggers
# hold for other programs, too.
TABLES: Final = (
    """
CREATE TABLE entry (
  number INTEGER PRIMARY KEY,
  hash TEXT NOT NULL,
  request TEXT NOT NULL UNIQUE,
  slide_key TEXT NOT NULL,
  action TEXT NOT NULL,
  undoes INTEGER,
  content TEXT NOT NULL
) STRICT
""",
    "CREATE INDEX entry_slide ON entry (slide_key, number)",
    "CREATE INDEX entry_undoes ON entry (undoes, action) WHERE undoes IS NOT NULL",
    "CREATE INDEX entry_sign ON entry (number) WHERE action = 'sign'",
    """
CREATE TABLE head (
  one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, hash TEXT NOT NULL
) STRICT
""",
    "INSERT INTO head VALUES (1, 0, '" + "0" * 64 + "')",
    """
CREATE TRIGGER entry_stays BEFORE UPDATE ON entry
  BEGIN SELECT RAISE(ABORT, 'an entry of the record never changes'); END
""",
    """
CREATE TRIGGER entry_remains BEFORE DELETE ON entry
  BEGIN SELECT RAISE(ABORT, 'an entry of the record is never deleted'); END
""",
    """
CREATE TRIGGER entry_follows BEFORE INSERT ON entry
  WHEN NEW.number != (SELECT number FROM head) + 1
  BEGIN SELECT RAISE(ABORT, 'an entry of the record follows the last one'); END
""",
    """
CREATE TRIGGER head_moves_on BEFORE UPDATE ON head
  WHEN NEW.number != OLD.number + 1 OR NEW.one != OLD.one
  BEGIN SELECT RAISE(ABORT, 'the head of the record moves on by one'); END
""",
    """
CREATE TRIGGER head_remains BEFORE DELETE ON head
  BEGIN SELECT RAISE(ABORT, 'the head of the record is never deleted'); END
""",
)


def record_file(folder: Path) -> DatabaseFile:
    """The database in a state folder, which is made if it is not there.

    Raises:
        StorageError: the folder cannot be made.
    """
    make_folder(folder)
    return DatabaseFile(
        path=folder / NAME,
        what="the record of reviews",
        version=_VERSION,
        statements=TABLES,
        if_damaged="Keep the file as it is, and restore the record from a backup.",
        busy_s=_BUSY_S,
    )
