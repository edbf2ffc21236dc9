# ruff: noqa: S608 - the parts are constants of this file
"""The journal's schema: the statements from each version to the next.

A new journal goes through all versions, so that it cannot differ from an upgraded one. All steps
are one transaction, so a process that is killed during it leaves the journal as it was.
"""

from __future__ import annotations

import sqlite3
from typing import Final

_VERSION_1: Final = """
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
"""

# ctime_ns: NULL if unknown.
# recheck: why a row with an outcome is waiting: 'look', its next look was due; 'change', the file's
#     times changed; NULL, it is to be labelled whatever its bytes are.
# was_mtime_ns: the mtime under which the outcome was given, while the row is rechecked.
# looks, next_look_at: for images rejected as incomplete.
# false_alarms, doubted_until: for files whose times change while their bytes do not.
# cause: why a waiting image was postponed. Version 1 stored it in `reason`.
#
# An image that was rejected under version 1 may have been completed since with the same size and
# mtime, so each gets one look.
_VERSION_2: Final = """
ALTER TABLE image ADD COLUMN ctime_ns INTEGER;
ALTER TABLE image ADD COLUMN was_mtime_ns INTEGER;
ALTER TABLE image ADD COLUMN recheck TEXT;
ALTER TABLE image ADD COLUMN cause TEXT;
ALTER TABLE image ADD COLUMN looks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE image ADD COLUMN next_look_at REAL;
ALTER TABLE image ADD COLUMN false_alarms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE image ADD COLUMN doubted_until REAL;
ALTER TABLE image ADD COLUMN bundle_sha256 TEXT;
UPDATE image SET cause = reason, reason = NULL WHERE state = 'waiting' AND status IS NULL;
UPDATE image SET cause = reason, reason = NULL WHERE state = 'claimed' AND status IS NULL;
UPDATE image SET next_look_at = 0, looks = 1000
WHERE status = 'rejected' AND state = 'done' AND is_current = 1
    AND reason IN ('empty', 'truncated', 'corrupt', 'unsupported_format');
CREATE INDEX image_look ON image (root, next_look_at) WHERE next_look_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS proof (id INTEGER PRIMARY KEY, at REAL NOT NULL);
"""

# stream: how far the images of a watch folder have drifted, as JSON; drift belongs to one bundle.
# stream_hour: sums over the cells of one hour, counted from 1970.
#     shifts, squares: of the clipped shifts. unfamiliar: cells that do not pass.
#     alarmed: cells that came during an alarm.
_VERSION_3: Final = """
CREATE TABLE stream (
    root INTEGER PRIMARY KEY REFERENCES root (id),
    bundle_sha256 TEXT NOT NULL,
    drift TEXT NOT NULL
);
CREATE TABLE stream_hour (
    root INTEGER NOT NULL REFERENCES root (id),
    hour INTEGER NOT NULL,
    bundle_sha256 TEXT NOT NULL,
    cells INTEGER NOT NULL,
    shifts REAL NOT NULL,
    squares REAL NOT NULL,
    unfamiliar INTEGER NOT NULL,
    alarmed INTEGER NOT NULL,
    PRIMARY KEY (root, hour, bundle_sha256)
) WITHOUT ROWID;
"""

# tally: how many images have each state and outcome, so that `edge-daemon status` need not read
#     millions of rows. Triggers keep it in the transaction that changes an image. Images that wait
#     for their first outcome are not in it: they are few, and have an index. A key cannot hold
#     NULL, which is '' there; `is_counted` is 1 where the outcome counts.
_TALLIED: Final = "({0}.state NOT IN ('waiting', 'claimed') OR {0}.status IS NOT NULL)"
_KEY: Final = """{0}.root, {0}.state, ifnull({0}.status, ''), ifnull({0}.label, ''),
    ifnull({0}.reason, ''),
    {0}.is_current = 1 AND ({0}.state = 'done' OR {0}.recheck IS NOT NULL)"""
_ADD: Final = f"""WHEN {_TALLIED.format("new")} BEGIN
    INSERT INTO tally VALUES ({_KEY.format("new")}, 1)
    ON CONFLICT (root, state, status, label, reason, is_counted)
    DO UPDATE SET images = images + 1;
END"""
_TAKE_AWAY: Final = f"""WHEN {_TALLIED.format("old")} BEGIN
    UPDATE tally SET images = images - 1
    WHERE (root, state, status, label, reason, is_counted) = ({_KEY.format("old")});
END"""
_CHANGE: Final = "AFTER UPDATE OF root, state, status, label, reason, is_current, recheck ON image"
COUNT_ROWS: Final = f"""
SELECT {_KEY.format("image")}, count(*) FROM image WHERE {_TALLIED.format("image")}
GROUP BY 1, 2, 3, 4, 5, 6
"""
_VERSION_4: Final = f"""
CREATE TABLE tally (
    root INTEGER NOT NULL,
    state TEXT NOT NULL,
    status TEXT NOT NULL,
    label TEXT NOT NULL,
    reason TEXT NOT NULL,
    is_counted INTEGER NOT NULL,
    images INTEGER NOT NULL,
    PRIMARY KEY (root, state, status, label, reason, is_counted)
) WITHOUT ROWID;
INSERT INTO tally {COUNT_ROWS};
CREATE TRIGGER image_added AFTER INSERT ON image {_ADD};
CREATE TRIGGER image_removed AFTER DELETE ON image {_TAKE_AWAY};
CREATE TRIGGER image_changed_from {_CHANGE} {_TAKE_AWAY};
CREATE TRIGGER image_changed_to {_CHANGE} {_ADD};
"""

# The step from each version to the next.
STEPS: Final = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)
SCHEMA_VERSION: Final = len(STEPS)


def statements(version: int) -> list[str]:
    """The statements that upgrade a journal from `version`, 0 for a new one."""
    found: list[str] = []
    text = ""
    for part in "".join(STEPS[version:]).split(";"):
        text += f"{part};"
        # A semicolon inside a trigger does not end its statement.
        if sqlite3.complete_statement(text):
            found.append(text.strip())
            text = ""
    return [statement for statement in found if statement != ";"]
