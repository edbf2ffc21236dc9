# ruff: noqa: S608 - the parts are constants of this file
"""The journal's statements.

A row whose `status` is not NULL has an outcome. It keeps it while it waits to be looked at again,
and has it still where the image is found gone or changed then. The outcome counts meanwhile unless
a person has asked for another one (`recheck` is NULL).
"""

from __future__ import annotations

from typing import Final

WRITE_PROOF: Final = "INSERT OR REPLACE INTO proof (id, at) VALUES (1, ?)"

# What becomes of a row that got no new outcome: the one it had stands. A file that was not compared
# after its times had changed is seen to have changed at the next look as well.
_GIVE_UP: Final = """
UPDATE image SET state = CASE WHEN status IS NULL THEN {} ELSE 'done' END,
    mtime_ns = coalesce(was_mtime_ns, mtime_ns), was_mtime_ns = NULL, recheck = NULL, cause = NULL,
    ctime_ns = CASE recheck WHEN 'change' THEN 0 ELSE ctime_ns END
"""
_SUPERSEDED: Final = _GIVE_UP.format("'superseded'")
# Where the next try of an image stands that has an outcome: after those that have none.
_LATE_S: Final = 1e-6

# A row that was claimed is left alone: its worker sees that the file has changed.
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

# Never after more than the longest wait: a clock that was set back must not put it off.
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

# Two versions of one path must not be labelled at once, or the older sidecar may come last.
# Images whose batch failed or ended in a crash come last: should one of them be the cause, the
# others are labelled first. Among the rest those come first that were never tried, so that a
# crowd of images that cannot be read, or that have an outcome, does not keep them waiting.
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

# The outcome of other bytes, which the file had under another mtime, is history: a new row takes
# the place of its own.
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

# A row that is not the newest of its image does not wait again.
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

# Retry times are monotonic and mean nothing after a restart.
FORGET_TIMES: Final = f"""
UPDATE image SET next_try_s = CASE WHEN status IS NULL THEN 0 ELSE {_LATE_S} END,
    unfinished_since_s = NULL
WHERE state = 'waiting' AND (next_try_s > 0 OR unfinished_since_s IS NOT NULL)
"""

# What a person may ask to have labelled again: also what waits to be compared.
_HAS_OUTCOME: Final = """
    is_current = 1 AND (state = 'done' OR (state = 'waiting' AND recheck IS NOT NULL))
"""

# A page of rejections in their order, so that others come between two pages. Those of a running
# daemon that come after the first page are not among them. The plus keeps SQLite from going by
# root, through every image of years, instead of through the rejections.
REJECTED_PAGE: Final = f"""
SELECT finished_at, id, root, path FROM image
WHERE status = 'rejected' AND {_HAS_OUTCOME} AND (finished_at, id) > (:after_s, :after)
    AND finished_at <= :until_s AND +root IN (SELECT value FROM json_each(:folder_ids))
    AND (:reason IS NULL OR reason = :reason)
ORDER BY finished_at, id LIMIT :limit
"""
# The next rows of any kind, with whether they are wanted: where few are, a page is short as well.
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

# Images whose sidecars were refused, as `Postponed.cause` says. A page of them at a time: with the
# index only those are looked at that wait for a later time.
TRY_REFUSED_NOW: Final = """
UPDATE image SET next_try_s = 0 WHERE id IN (
    SELECT id FROM image WHERE state = 'waiting' AND interruptions = 0
        AND next_try_s > :now_s AND next_try_s < 9e999 AND cause LIKE 'sidecar: %' LIMIT :limit)
"""

# 9e999 is infinity: what waits for a later run is not open in this one.
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

# What stands: also while it is compared.
_STANDS: Final = "is_current = 1 AND (state = 'done' OR recheck IS NOT NULL)"

COUNT_BY: Final = {
    "states": """SELECT state, count(*) FROM image
        WHERE root IN (SELECT value FROM json_each(:folder_ids)) GROUP BY state""",
    "statuses": f"""SELECT status, count(*) FROM image WHERE status IS NOT NULL AND {_STANDS}
        AND root IN (SELECT value FROM json_each(:folder_ids)) GROUP BY status""",
    "labels": f"""SELECT label, count(*) FROM image WHERE label IS NOT NULL AND {_STANDS}
        AND root IN (SELECT value FROM json_each(:folder_ids)) GROUP BY label""",
    "reasons": f"""SELECT reason, count(*) FROM image WHERE status = 'rejected' AND {_STANDS}
        AND +root IN (SELECT value FROM json_each(:folder_ids)) GROUP BY reason""",
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

# Retention goes through the whole table in the order of its rows, a page at a time.
OLD_ROWS: Final = """
SELECT id, root, path, is_current AND state = 'done', state IN ('done', 'gone', 'superseded')
    AND coalesce(finished_at, recorded_at) <= :until
FROM image WHERE id > :after ORDER BY id LIMIT :limit
"""
# One that was put back to waiting since the page was read has work to do again.
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
WHERE status = 'rejected' AND {_STANDS}
    AND +image.root IN (SELECT value FROM json_each(:folder_ids))
ORDER BY finished_at DESC LIMIT :limit
"""
