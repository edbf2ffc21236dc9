"""The journal's schema: how each version is made from the one before it.

A new journal goes through all versions, so that it cannot differ from one that was brought up to
date. All steps are one transaction: a process that is killed in it leaves the journal as it was.
"""

from __future__ import annotations

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

# ctime_ns is NULL where no look has told it. A row keeps its outcome while it waits to be looked
# at again: `recheck` says why ('look': its time had come; 'change': its times have changed), and
# is NULL where the image is to be labelled whatever its bytes are. was_mtime_ns is then the mtime
# under which the outcome was given. looks and next_look_at are for rejections of files that may
# not have been finished, false_alarms and doubted_until for times that change without the bytes.
# cause says why a waiting image was put off: in version 1 `reason` did.
#
# A rejection of version 1 may be of a file that was finished since, with the size and the mtime
# that it had: each gets one look.
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

# The step from each version to the next.
STEPS: Final = (_VERSION_1, _VERSION_2)
SCHEMA_VERSION: Final = len(STEPS)


def statements(version: int) -> list[str]:
    """What brings a journal from `version`, 0 for a new one, to the present one."""
    script = ";".join(STEPS[version:])
    return [text for text in script.split(";") if text.strip()]
