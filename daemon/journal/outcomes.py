"""Rows that have an outcome or are closed: list them, set them to waiting, delete them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from daemon.image.records import OldRow, PastImage
from daemon.journal import rows as take
from daemon.journal import sql
from daemon.journal.connection import JournalConnection

# Small pages, so that a daemon that uses the journal at the same time waits only briefly.
PAGE: Final = 1000


class Outcomes(JournalConnection):
    """The closed rows of an open journal. Every method may be called from any thread."""

    def rejections(self, reason: str | None = None) -> Iterator[list[PastImage]]:
        """Yield pages of rejected images of the served folders, only those with `reason` if set."""
        asked = {
            "until_s": time.time(),
            "folder_ids": self._folder_ids,
            "limit": PAGE,
            "reason": reason,
        }
        key = (float("-inf"), 0)
        while True:
            with self._transaction(immediate=False) as db:
                page = asked | {"after_s": key[0], "after": key[1]}
                rows = db.execute(sql.REJECTED_PAGE, page).fetchall()
                images = [_past(*row[1:]) for row in rows]
                keys = [
                    (take.real(row[0]), image.id) for row, image in zip(rows, images, strict=True)
                ]
                _require_order([key, *keys])
            if not images:
                return
            key = keys[-1]
            yield images

    def outcomes(self, *, of_other_than: str | None = None) -> Iterator[list[PastImage]]:
        """Yield pages of images of the served folders that have an outcome.

        Args:
            of_other_than: a bundle's hash: only images that another bundle labelled.
        """
        asked = {"folder_ids": self._folder_ids, "limit": PAGE, "bundle": of_other_than}
        with self._transaction(immediate=False) as db:
            last = take.integer(take.only(db.execute(sql.LAST_ROW).fetchone()))
        after = 0
        while after < last:
            with self._transaction(immediate=False) as db:
                rows = db.execute(sql.OUTCOME_PAGE, asked | {"after": after, "last": last})
                found = [(_past(*row[:3]), take.integer(row[3])) for row in rows.fetchall()]
                _require_order([after, *(image.id for image, _ in found)])
            if not found:
                return
            after = found[-1][0].id
            yield [image for image, is_wanted in found if is_wanted]

    def put_back(self, images: list[PastImage]) -> int:
        """Set images that have an outcome to waiting; returns how many still had one."""
        with self._transaction() as db:
            now_s = time.time()
            return sum(db.execute(sql.RETRY, (now_s, image.id)).rowcount for image in images)

    def retry_image(self, folder_id: int, path: bytes) -> bool:
        """Set one image that has an outcome to waiting; False: it has none."""
        with self._transaction() as db:
            return db.execute(sql.RETRY_PATH, (time.time(), folder_id, path)).rowcount == 1

    def old_rows(self, after: int, until_s: float, limit: int) -> tuple[int, list[OldRow]]:
        """Closed rows that are old, among the next `limit` rows.

        Args:
            after: row to begin after; 0: at the first.
            until_s: old are rows closed by this time, in seconds since 1970.
            limit: rows to look at.

        Returns:
            The last row looked at, 0 at the journal's end, and the old rows.
        """
        with self._transaction(immediate=False) as db:
            asked = {"after": after, "until": until_s, "limit": limit}
            rows = db.execute(sql.OLD_ROWS, asked).fetchall()
            past = [_past(*row[:3]) for row in rows]
            _require_order([after, *(image.id for image in past)])
            old = [
                OldRow(image.id, image.folder_id, image.path, is_outcome=bool(take.integer(row[3])))
                for image, row in zip(past, rows, strict=True)
                if take.integer(row[4])
            ]
        return (past[-1].id if past else 0), old

    def delete_old(self, rows: list[OldRow], until_s: float) -> int:
        """Delete those of `rows` that are still closed since before `until_s`; returns how many."""
        with self._transaction() as db:
            return db.executemany(sql.DELETE_OLD, [(row.id, until_s) for row in rows]).rowcount

    def newest_outcome_at(self) -> float | None:
        """The time of the latest outcome, in seconds since 1970; None: there is none."""
        with self._transaction(immediate=False) as db:
            return take.optional_real(take.only(db.execute(sql.NEWEST).fetchone()))


def _past(id_: Any, folder_id: Any, path: Any) -> PastImage:
    return PastImage(take.integer(id_), take.integer(folder_id), take.path(path))


def _require_order(keys: list[Any]) -> None:
    # With a damaged index the same page may come again, and the pages would never end.
    if any(a >= b for a, b in pairwise(keys)):
        raise take.DamagedError("rows are not in order")
