"""The journal's schema and its statements."""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION: Final = 1

SCHEMA: Final = """
CREATE TABLE root (id INTEGER PRIMARY KEY, folder BLOB NOT NULL UNIQUE);
CREATE TABLE image (
    id INTEGER PRIMARY KEY,
    root INTEGER NOT NULL REFERENCES root (id),
    path BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    is_current INTEGER NOT NULL DEFAULT 1,
    state TEXT NOT NULL DEFAULT 'waiting',
    attempts INTEGER NOT NULL DEFAULT 0,
    interruptions INTEGER NOT NULL DEFAULT 0,
    next_try_s REAL NOT NULL DEFAULT 0,
    unfinished_since_s REAL,
    status TEXT, label TEXT, confidence REAL, reason TEXT, sha256 TEXT,
    recorded_at REAL NOT NULL,
    finished_at REAL
);
CREATE UNIQUE INDEX image_current ON image (root, path) WHERE is_current = 1;
CREATE UNIQUE INDEX image_claimed ON image (root, path) WHERE state = 'claimed';
CREATE INDEX image_waiting ON image (interruptions, next_try_s, id) WHERE state = 'waiting';
CREATE INDEX image_finished ON image (finished_at) WHERE state = 'done';
CREATE INDEX image_rejected ON image (finished_at) WHERE status = 'rejected';
PRAGMA user_version = 1;
"""

# One row that the canary rewrites. Version 1 of the schema did without, and takes no harm by it.
PROOF: Final = "CREATE TABLE IF NOT EXISTS proof (id INTEGER PRIMARY KEY, at REAL NOT NULL)"
PROVE: Final = "INSERT OR REPLACE INTO proof (id, at) VALUES (1, ?)"

# A row that was claimed is left alone: its worker sees that the file has changed.
SUPERSEDE: Final = """
UPDATE image SET is_current = 0,
    state = CASE state WHEN 'waiting' THEN 'superseded' ELSE state END
WHERE root = ? AND path = ? AND is_current = 1
"""

# Two versions of one path must not be labelled at once, or the older sidecar may come last.
# Images whose batch failed or ended in a crash come last: should one of them be the cause, the
# others are labelled first. Among the rest those come first that were never tried, so that a
# crowd of images that cannot be read does not keep them waiting.
WAITING: Final = """
SELECT id, root, path, size_bytes, mtime_ns, attempts, unfinished_since_s, recorded_at,
    interruptions
FROM image AS waiting
WHERE state = 'waiting' AND next_try_s <= ? AND root IN (SELECT value FROM json_each(?))
    AND NOT EXISTS (SELECT 1 FROM image AS other WHERE other.state = 'claimed'
                    AND other.root = waiting.root AND other.path = waiting.path)
ORDER BY interruptions, next_try_s, id LIMIT ?
"""

FINISH: Final = """
UPDATE image SET state = 'done', status = ?, label = ?, confidence = ?, reason = ?, sha256 = ?,
    finished_at = ? WHERE id = ?
"""

POSTPONE: Final = """
UPDATE image SET state = CASE is_current WHEN 1 THEN 'waiting' ELSE 'superseded' END,
    next_try_s = ?, attempts = ?, unfinished_since_s = ?, reason = ? WHERE id = ?
"""

TAKE_BACK: Final = """
UPDATE image SET interruptions = interruptions + ?,
    state = CASE is_current WHEN 1 THEN 'waiting' ELSE 'superseded' END
WHERE state = 'claimed'
"""
RELEASE: Final = f"{TAKE_BACK} AND id = ?"

# Retry times are monotonic and mean nothing after a restart.
FORGET_TIMES: Final = """
UPDATE image SET next_try_s = 0, unfinished_since_s = NULL
WHERE state = 'waiting' AND (next_try_s > 0 OR unfinished_since_s IS NOT NULL)
"""

INSERT: Final = """
INSERT INTO image (root, path, size_bytes, mtime_ns, recorded_at) VALUES (?, ?, ?, ?, ?)
"""

# `{}` takes as many question marks as there are paths.
KNOWN: Final = """
SELECT path, size_bytes, mtime_ns FROM image
WHERE is_current = 1 AND root = ? AND path IN ({}) AND state NOT IN ('gone', 'superseded')
"""

# A page of rejections in their order, so that others come between two pages. Those of a running
# daemon that come after the first page are not among them. The plus keeps SQLite from going by
# root, through every image of years, instead of through the rejections.
REJECTED_PAGE: Final = """
SELECT finished_at, id, root, path FROM image
WHERE status = 'rejected' AND is_current = 1 AND (finished_at, id) > (:after_s, :after)
    AND finished_at <= :until_s AND +root IN (SELECT value FROM json_each(:roots))
    AND (:reason IS NULL OR reason = :reason)
ORDER BY finished_at, id LIMIT :limit
"""

_RETRY: Final = """
UPDATE image SET state = 'waiting', status = NULL, label = NULL, confidence = NULL, reason = NULL,
    sha256 = NULL, finished_at = NULL, attempts = 0, interruptions = 0, next_try_s = 0,
    unfinished_since_s = NULL, recorded_at = ?
WHERE state = 'done' AND is_current = 1
"""
RETRY: Final = f"{_RETRY} AND id = ?"
RETRY_PATH: Final = f"{_RETRY} AND root = ? AND path = ?"

# Images whose sidecars were refused, as `Postponed.cause` says. A page of them at a time: with the
# index only those are looked at that wait for a later time.
TRY_REFUSED_NOW: Final = """
UPDATE image SET next_try_s = 0 WHERE id IN (
    SELECT id FROM image WHERE state = 'waiting' AND interruptions = 0
        AND next_try_s > :now_s AND next_try_s < 9e999 AND reason LIKE 'sidecar: %' LIMIT :limit)
"""

# 9e999 is infinity: what waits for a later run is not open in this one.
HAS_OPEN: Final = """
SELECT EXISTS (SELECT 1 FROM image WHERE state = 'waiting' AND next_try_s < 9e999
               AND root IN (SELECT value FROM json_each(:roots)))
    OR EXISTS (SELECT 1 FROM image WHERE state = 'claimed')
"""

COUNT_OPEN: Final = """
SELECT (SELECT count(*) FROM image WHERE state = 'waiting'
        AND root IN (SELECT value FROM json_each(:roots)))
    + (SELECT count(*) FROM image WHERE state = 'claimed')
"""

COUNT_BY: Final = {
    "states": """SELECT state, count(*) FROM image
        WHERE root IN (SELECT value FROM json_each(:roots)) GROUP BY state""",
    "statuses": """SELECT status, count(*) FROM image WHERE state = 'done' AND is_current = 1
        AND root IN (SELECT value FROM json_each(:roots)) GROUP BY status""",
    "labels": """SELECT label, count(*) FROM image WHERE label IS NOT NULL AND is_current = 1
        AND root IN (SELECT value FROM json_each(:roots)) GROUP BY label""",
    "reasons": """SELECT reason, count(*) FROM image WHERE status = 'rejected' AND is_current = 1
        AND +root IN (SELECT value FROM json_each(:roots)) GROUP BY reason""",
    "held_up": """SELECT reason, count(*) FROM image WHERE state = 'waiting' AND reason IS NOT NULL
        AND root IN (SELECT value FROM json_each(:roots)) GROUP BY reason""",
}

ROOTS: Final = "SELECT id, folder FROM root"
QUEUE: Final = """
SELECT count(*), min(recorded_at) FROM image
WHERE state = 'waiting' AND root IN (SELECT value FROM json_each(:roots))
"""
CLAIMED: Final = "SELECT count(*) FROM image WHERE state = 'claimed'"
TODAY: Final = """
SELECT status, count(*) FROM image
WHERE state = 'done' AND finished_at >= :since AND is_current = 1
    AND +root IN (SELECT value FROM json_each(:roots)) GROUP BY status
"""

# Retention goes through the whole table in the order of its rows, a page at a time.
OLD_ROWS: Final = """
SELECT id, root, path, is_current AND state = 'done', state IN ('done', 'gone', 'superseded')
    AND coalesce(finished_at, recorded_at) <= :until
FROM image WHERE id > :after ORDER BY id LIMIT :limit
"""
# One that was put back to waiting since the page was read has work to do again.
FORGET: Final = """
DELETE FROM image WHERE id = ? AND state IN ('done', 'gone', 'superseded')
    AND coalesce(finished_at, recorded_at) <= ?
"""
NEWEST: Final = "SELECT max(finished_at) FROM image WHERE state = 'done'"

LAST_FINISHED: Final = """
SELECT max(finished_at) FROM image
WHERE state = 'done' AND root IN (SELECT value FROM json_each(:roots))
"""
OLDEST_WAITING: Final = """
SELECT min(recorded_at) FROM image
WHERE state = 'waiting' AND root IN (SELECT value FROM json_each(:roots))
"""
WAITING_ELSEWHERE: Final = """
SELECT count(*) FROM image
WHERE state = 'waiting' AND root NOT IN (SELECT value FROM json_each(:roots))
"""
REJECTIONS: Final = """
SELECT folder, path, reason, finished_at FROM image JOIN root ON root.id = image.root
WHERE status = 'rejected' AND is_current = 1
    AND +image.root IN (SELECT value FROM json_each(:roots))
ORDER BY finished_at DESC LIMIT :limit
"""
