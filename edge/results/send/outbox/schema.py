"""The tables of the outbox."""

from __future__ import annotations

from typing import Final

VERSION: Final = 2

STATEMENTS: Final = (
    """
    CREATE TABLE target (
      name TEXT PRIMARY KEY,
      position INTEGER NOT NULL,
      began INTEGER NOT NULL,
      kind TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE message (
      id INTEGER PRIMARY KEY,
      target TEXT NOT NULL,
      result_id TEXT NOT NULL,
      sample_id TEXT NOT NULL,
      slide_key TEXT NOT NULL,
      revision INTEGER NOT NULL,
      state TEXT NOT NULL,
      name TEXT NOT NULL,
      content BLOB,
      stage TEXT NOT NULL
        CHECK (stage IN ('queued', 'sending', 'acked', 'held', 'given_up')),
      attempts INTEGER NOT NULL DEFAULT 0,
      failures INTEGER NOT NULL DEFAULT 0,
      next_try_s REAL NOT NULL DEFAULT 0,
      told TEXT NOT NULL DEFAULT '',
      detail TEXT NOT NULL DEFAULT '',
      changed TEXT NOT NULL,
      UNIQUE (target, result_id)
    )
    """,
    # The open ones are few, those that were sent are many.
    """
    CREATE INDEX open_message ON message (target, sample_id, id)
      WHERE stage IN ('queued', 'sending', 'held')
    """,
    "CREATE INDEX kept_content ON message (changed) WHERE content IS NOT NULL",
)

COLUMNS: Final = (
    "id, target, result_id, sample_id, slide_key, revision, state, name, stage, attempts, "
    "failures, told, detail, changed"
)

# The oldest open one of each sample. Whatever is before it must be done or given up, so that a
# correction never overtakes what it corrects.
_HEADS: Final = """
    FROM message AS m
    WHERE target = :target AND stage = 'queued' AND content IS NOT NULL
      AND NOT EXISTS (
        SELECT 1 FROM message AS earlier
        WHERE earlier.target = m.target AND earlier.sample_id = m.sample_id AND earlier.id < m.id
          AND earlier.stage IN ('queued', 'sending', 'held'))
"""
DUE: Final = f"SELECT {COLUMNS} {_HEADS} AND next_try_s <= :now_s ORDER BY attempts, id LIMIT 1"
NEXT_TRY: Final = f"SELECT MIN(next_try_s) {_HEADS}"
