"""The file of the issued results."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge.database.file import DatabaseFile
from edge.files.atomic import make_folder

NAME: Final = "issued.sqlite3"
_VERSION: Final = 1
_BUSY_S: Final = 10.0
# No statement of this program changes a row. The triggers hold for other programs, too.
_TABLES: Final = (
    """
CREATE TABLE result (
  slide_key TEXT NOT NULL,
  revision INTEGER NOT NULL CHECK (revision >= 1),
  alike TEXT NOT NULL,
  sample_id TEXT NOT NULL,
  document BLOB NOT NULL,
  UNIQUE (slide_key, revision)
) STRICT
""",
    "CREATE INDEX result_alike ON result (alike, sample_id)",
    """
CREATE TABLE landmark (
  sha256 TEXT NOT NULL, slide_key TEXT NOT NULL, PRIMARY KEY (sha256, slide_key)
) STRICT, WITHOUT ROWID
""",
    """
CREATE TABLE completion (
  slide_key TEXT PRIMARY KEY, said_at TEXT NOT NULL, said_by TEXT NOT NULL
) STRICT, WITHOUT ROWID
""",
    """
CREATE TRIGGER result_stays BEFORE UPDATE ON result
  BEGIN SELECT RAISE(ABORT, 'an issued result never changes'); END
""",
    """
CREATE TRIGGER result_remains BEFORE DELETE ON result
  BEGIN SELECT RAISE(ABORT, 'an issued result is never deleted'); END
""",
)


def issued_file(folder: Path) -> DatabaseFile:
    """The database in a folder, which is made if it is not there.

    Raises:
        StorageError: the folder cannot be made.
    """
    make_folder(folder)
    # A result that was issued must be known after a power cut: its number is used up.
    return DatabaseFile(
        path=folder / NAME,
        what="the file of issued results",
        version=_VERSION,
        statements=_TABLES,
        if_damaged="Restore it from a backup.",
        busy_s=_BUSY_S,
    )
