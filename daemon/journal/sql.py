# ruff: noqa: S608 - the parts are constants of this file
"""The journal's statements.

A row whose `status` is not NULL has an outcome. It keeps it while it waits to be rechecked, and
also if the image is then gone or changed. Meanwhile the outcome counts in summaries, unless a
person asked for another one (`recheck` is NULL).
"""

from __future__ import annotations

from typing import Final

WRITE_PROOF: Final = "INSERT OR REPLACE INTO proof (id, at) VALUES (1, ?)"

# Close a row without a new outcome; it keeps the one it has. `ctime_ns = 0` makes the next look at
# a file that was not compared find a change again.
_GIVE_UP: Final = """
UPDATE image SET state = CASE WHEN status IS NULL THEN {} ELSE 'done' END,
    mtime_ns = coalesce(was_mtime_ns, mtime_ns), was_mtime_ns = NULL, recheck = NULL, cause = NULL,
    ctime_ns = CASE recheck WHEN 'change' THEN 0 ELSE ctime_ns END
"""
_SUPERSEDED: Final = _GIVE_UP.format("'superseded'")
# next_try_s of images that have an outcome: they come after those that have none, whose time is 0.
_LATE_S: Final = 1e-6

# Not for claimed rows: their worker notices that the file has changed.
GIVE_UP_WAITING: Final = f"""
{_SUPERSEDED} WHERE root = ? AND path = ? AND is_current = 1 AND state = 'waiting'
"""
SUPERSEDE: Final = """
UPDATE image SET is_current = 0, next_look_at = NULL
WHERE root = ? AND path = ? AND is_current = 1
"""

INSERT: Final = """
INSERT INTO image (root, path, size_bytes, mtime_ns, ctime_ns, recorded_at)
VALUES (?, ?, ?, ?, ?, ?)
"""

# `{}` takes as many question marks as there are paths.
KNOWN: Final = """
SELECT path, id, size_bytes, mtime_ns, ctime_ns, state, status, reason, sha256, doubted_until
FROM image WHERE is_current = 1 AND root = ? AND path IN ({})
"""

_NOTE_TIMES: Final = """
UPDATE image SET mtime_ns = :mtime_ns, ctime_ns = :ctime_ns,
    was_mtime_ns = CASE WHEN status IS NULL OR mtime_ns = :mtime_ns THEN was_mtime_ns
                        ELSE coalesce(was_mtime_ns, mtime_ns) END
"""
NOTE_TIMES: Final = f"{_NOTE_TIMES} WHERE id = :id AND state IN ('waiting', 'done')"
_WAIT_AGAIN: Final = f"""
    state = 'waiting', attempts = 0, interruptions = 0, next_try_s = {_LATE_S},
    unfinished_since_s = NULL, cause = NULL, next_look_at = NULL
"""
COMPARE: Final = f"""
{_NOTE_TIMES}, {_WAIT_AGAIN}, recheck = 'change', recorded_at = :now
WHERE id = :id AND state = 'done' AND is_current = 1
"""

# The second half is for times too far ahead, which were stored before the clock was set back.
DUE_LOOKS: Final = """
SELECT id FROM image WHERE next_look_at <= :until AND root = :folder_id
UNION ALL
SELECT id FROM image WHERE next_look_at > :at_latest AND root = :folder_id
LIMIT :limit
"""
LOOK: Final = f"""
UPDATE image SET {_WAIT_AGAIN}, recheck = 'look', recorded_at = ?
WHERE id = ? AND state = 'done' AND is_current = 1
"""

# Two versions of one path must not be labelled at once, or the older sidecar may come last. Images
# whose batch failed or ended in a crash come last, as one of them may be the cause. Among the
# others, images that were never tried come first, so that many unreadable images, or many that have
# an outcome, do not delay them.
WAITING: Final = """
SELECT id, root, path, size_bytes, mtime_ns, ctime_ns, attempts, unfinished_since_s, recorded_at,
    interruptions, recheck, status, reason, sha256
FROM image AS waiting
WHERE state = 'waiting' AND next_try_s <= ? AND root IN (SELECT value FROM json_each(?))
    AND NOT EXISTS (SELECT 1 FROM image AS other WHERE other.state = 'claimed'
                    AND other.root = waiting.root AND other.path = waiting.path)
ORDER BY interruptions, next_try_s, id LIMIT ?
"""
CLAIM: Final = "UPDATE image SET state = 'claimed' WHERE id = ? AND state = 'waiting'"
CLAIMS: Final = "SELECT root, path FROM image WHERE state = 'claimed'"

# If mtime and bytes changed, the old outcome stays in its row, which is no longer current, and the
# new one gets a new row.
OTHER_BYTES: Final = """
SELECT root, path, size_bytes, mtime_ns, ctime_ns, is_current, recorded_at FROM image
WHERE id = ? AND state = 'claimed' AND was_mtime_ns != mtime_ns AND sha256 IS NOT ?
"""
RETIRE: Final = "UPDATE image SET is_current = 0, next_look_at = NULL WHERE id = ?"
REPLACE: Final = """
INSERT INTO image (root, path, size_bytes, mtime_ns, ctime_ns, is_current, recorded_at, state)
VALUES (?, ?, ?, ?, ?, ?, ?, 'claimed')
"""
FINISH: Final = """
UPDATE image SET state = 'done', status = ?, label = ?, confidence = ?, reason = ?, sha256 = ?,
    bundle_sha256 = ?, finished_at = ?, looks = 0,
    next_look_at = CASE is_current WHEN 1 THEN ? END,
    recheck = NULL, was_mtime_ns = NULL, cause = NULL, false_alarms = 0, doubted_until = NULL
WHERE id = ? AND state = 'claimed'
"""

LOOKED: Final = "SELECT recheck, reason, looks, false_alarms FROM image WHERE id = ?"
KEEP_OUTCOME: Final = """
UPDATE image SET state = 'done', recheck = NULL, was_mtime_ns = NULL, cause = NULL,
    looks = ?, next_look_at = CASE is_current WHEN 1 THEN ? END, false_alarms = ?,
    doubted_until = ?
WHERE id = ? AND state = 'claimed' AND status IS NOT NULL
"""

DROP: Final = f"{_GIVE_UP.format('?')} WHERE id = ? AND state = 'claimed'"

# Only a current row may wait again.
POSTPONE: Final = """
UPDATE image SET state = 'waiting', next_try_s = ?, attempts = ?, unfinished_since_s = ?, cause = ?
WHERE id = ? AND state = 'claimed' AND is_current = 1
"""
RELEASE: Final = """
UPDATE image SET state = 'waiting', interruptions = interruptions + ?
WHERE id = ? AND state = 'claimed' AND is_current = 1
"""
TAKE_BACK: Final = """
UPDATE image SET state = 'waiting', interruptions = interruptions + ?
WHERE state = 'claimed' AND is_current = 1
"""
GIVE_UP_CLAIMED: Final = f"{_SUPERSEDED} WHERE state = 'claimed' AND is_current = 0"

# Retry times are monotonic, so without meaning after a restart.
FORGET_TIMES: Final = f"""
UPDATE image SET next_try_s = CASE WHEN status IS NULL THEN 0 ELSE {_LATE_S} END,
    unfinished_since_s = NULL
WHERE state = 'waiting' AND (next_try_s > 0 OR unfinished_since_s IS NOT NULL)
"""

# What a person may have labelled again, which includes rows that wait to be rechecked.
_HAS_OUTCOME: Final = """
    is_current = 1 AND (state = 'done' OR (state = 'waiting' AND recheck IS NOT NULL))
"""

# A page of rejections in the order of their time, without those that a running daemon adds. The
# plus in `+root` makes SQLite use the index of rejections, not that of root, which has every image.
REJECTED_PAGE: Final = f"""
SELECT finished_at, id, root, path FROM image
WHERE status = 'rejected' AND {_HAS_OUTCOME} AND (finished_at, id) > (:after_s, :after)
    AND finished_at <= :until_s AND +root IN (SELECT value FROM json_each(:folder_ids))
    AND (:reason IS NULL OR reason = :reason)
ORDER BY finished_at, id LIMIT :limit
"""
# The next rows of any kind and whether each is wanted, so that a page takes the same time even if
# few are wanted.
OUTCOME_PAGE: Final = f"""
SELECT id, root, path, {_HAS_OUTCOME} AND root IN (SELECT value FROM json_each(:folder_ids))
    AND (:bundle IS NULL
         OR (status IN ('labelled', 'unidentified') AND bundle_sha256 IS NOT :bundle))
FROM image WHERE id > :after AND id <= :last ORDER BY id LIMIT :limit
"""
LAST_ROW: Final = "SELECT coalesce(max(id), 0) FROM image"

_RETRY: Final = f"""
UPDATE image SET {_WAIT_AGAIN}, recheck = NULL, recorded_at = ? WHERE {_HAS_OUTCOME}
"""
RETRY: Final = f"{_RETRY} AND id = ?"
RETRY_PATH: Final = f"{_RETRY} AND root = ? AND path = ?"

# Images postponed because their sidecars could not be written, by the cause that writer.py stores.
# The index image_waiting finds those that wait for a later time.
TRY_REFUSED_NOW: Final = """
UPDATE image SET next_try_s = 0 WHERE id IN (
    SELECT id FROM image WHERE state = 'waiting' AND interruptions = 0
        AND next_try_s > :now_s AND next_try_s < 9e999 AND cause LIKE 'sidecar: %' LIMIT :limit)
"""

# 9e999 is infinity: the next_try_s of images left for a later run.
HAS_OPEN: Final = """
SELECT EXISTS (SELECT 1 FROM image WHERE state = 'waiting' AND next_try_s < 9e999
               AND root IN (SELECT value FROM json_each(:folder_ids)))
    OR EXISTS (SELECT 1 FROM image WHERE state = 'claimed')
"""

COUNT_OPEN: Final = """
SELECT (SELECT count(*) FROM image WHERE state = 'waiting'
        AND root IN (SELECT value FROM json_each(:folder_ids)))
    + (SELECT count(*) FROM image WHERE state = 'claimed')
"""

# Rows whose outcome counts, which includes those that are being rechecked.
_COUNTS: Final = "is_current = 1 AND (state = 'done' OR recheck IS NOT NULL)"

_TALLIED: Final = """SELECT {0}, sum(images) FROM tally WHERE images != 0 AND {0} != '' AND {1}
        AND root IN (SELECT value FROM json_each(:folder_ids)) GROUP BY {0}"""
COUNT_BY: Final = {
    "states": f"""{_TALLIED.format("state", "state NOT IN ('waiting', 'claimed')")}
        UNION ALL SELECT state, count(*) FROM image WHERE state = 'waiting'
        AND root IN (SELECT value FROM json_each(:folder_ids)) GROUP BY state
        UNION ALL SELECT state, count(*) FROM image WHERE state = 'claimed'
        AND root IN (SELECT value FROM json_each(:folder_ids)) GROUP BY state""",
    "statuses": _TALLIED.format("status", "is_counted"),
    "labels": _TALLIED.format("label", "is_counted"),
    "reasons": _TALLIED.format("reason", "is_counted AND status = 'rejected'"),
    "held_up": """SELECT cause, count(*) FROM image WHERE state = 'waiting' AND cause IS NOT NULL
        AND root IN (SELECT value FROM json_each(:folder_ids)) GROUP BY cause""",
}

WATCH_FOLDERS: Final = "SELECT id, folder FROM root"
QUEUE: Final = """
SELECT count(*), min(recorded_at) FROM image
WHERE state = 'waiting' AND root IN (SELECT value FROM json_each(:folder_ids))
"""
CLAIMED: Final = "SELECT count(*) FROM image WHERE state = 'claimed'"
TODAY: Final = """
SELECT status, count(*) FROM image
WHERE state = 'done' AND finished_at >= :since AND is_current = 1
    AND +root IN (SELECT value FROM json_each(:folder_ids)) GROUP BY status
"""

# A page of the whole table, in the order of its rows.
OLD_ROWS: Final = """
SELECT id, root, path, is_current AND state = 'done', state IN ('done', 'gone', 'superseded')
    AND coalesce(finished_at, recorded_at) <= :until
FROM image WHERE id > :after ORDER BY id LIMIT :limit
"""
# Checks again, as a row may have been set to waiting since the page was read.
DELETE_OLD: Final = """
DELETE FROM image WHERE id = ? AND state IN ('done', 'gone', 'superseded')
    AND coalesce(finished_at, recorded_at) <= ?
"""
NEWEST: Final = "SELECT max(finished_at) FROM image WHERE state = 'done'"

LAST_FINISHED: Final = """
SELECT max(finished_at) FROM image
WHERE state = 'done' AND root IN (SELECT value FROM json_each(:folder_ids))
"""
OLDEST_WAITING: Final = """
SELECT min(recorded_at) FROM image
WHERE state = 'waiting' AND root IN (SELECT value FROM json_each(:folder_ids))
"""
WAITING_ELSEWHERE: Final = """
SELECT count(*) FROM image
WHERE state = 'waiting' AND root NOT IN (SELECT value FROM json_each(:folder_ids))
"""
REJECTIONS: Final = f"""
SELECT folder, path, reason, finished_at FROM image JOIN root ON root.id = image.root
WHERE status = 'rejected' AND {_COUNTS}
    AND +image.root IN (SELECT value FROM json_each(:folder_ids))
ORDER BY finished_at DESC LIMIT :limit
"""

# Texts as bytes: Python ends the whole statement where one of them is not UTF-8.
STREAM: Final = "SELECT CAST(bundle_sha256 AS BLOB), CAST(drift AS BLOB) FROM stream WHERE root = ?"
STREAMS: Final = """
SELECT root, CAST(bundle_sha256 AS BLOB), CAST(drift AS BLOB) FROM stream
WHERE root IN (SELECT value FROM json_each(:folder_ids))
"""
SET_STREAM: Final = "INSERT OR REPLACE INTO stream (root, bundle_sha256, drift) VALUES (?, ?, ?)"
ADD_TO_HOUR: Final = """
UPDATE stream_hour SET cells = cells + :cells, shifts = shifts + :shifts,
    squares = squares + :squares, unfamiliar = unfamiliar + :unfamiliar,
    alarmed = alarmed + :alarmed
WHERE root = :root AND hour = :hour AND bundle_sha256 = :bundle_sha256
"""
BEGIN_HOUR: Final = """
INSERT INTO stream_hour VALUES
    (:root, :hour, :bundle_sha256, :cells, :shifts, :squares, :unfamiliar, :alarmed)
"""
# By their number and not by the time now: a clock that is wrong for one cell must not delete them.
FORGET_HOURS: Final = """
DELETE FROM stream_hour WHERE root = :root AND hour < (
    SELECT DISTINCT hour FROM stream_hour WHERE root = :root
    ORDER BY hour DESC LIMIT 1 OFFSET :kept - 1
)
"""
HOURS: Final = """
SELECT hour, CAST(bundle_sha256 AS BLOB), cells, shifts, squares, unfamiliar, alarmed
FROM stream_hour
WHERE root = ? AND hour BETWEEN ? AND ? ORDER BY hour, bundle_sha256
"""
