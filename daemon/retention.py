"""Deletes journal rows by their age, so that the journal does not grow for ever.

A row goes when it was over for `retention_days` and nothing is lost with it: an earlier outcome of
an image, a version that vanished or changed, or an outcome whose image is no longer in the export.
The row of an image that is still there stays whatever its age, or the image would be labelled
again. The pages that rows leave behind are used again: the file stops growing and does not shrink.

Whether an image is still there is asked of the file system, and a share that is away says no as
well. So an image counts as gone only while another image of the same folder that the journal knows
can be seen, before and after, and on the same device.

Nor is the clock believed at once, since one that is set to next year makes every row old.
See `trusted_now`.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from daemon.image.records import ImageVersion, OldRow
from daemon.image.watch_folder import WatchFolder
from daemon.intake.rescan import image_files
from daemon.journal.journal import Journal
from edge.errors import EdgeError, StorageError
from edge.files.atomic import write_file
from edge.files.safe_open import read_bounded
from edge.files.strict_json import parse_json

log = logging.getLogger(__name__)

NAME: Final = "retention.json"
_MOST_BYTES: Final = 4096
DAY_S: Final = 86_400.0
# Rows in one transaction. A claim that comes meanwhile waits for a few milliseconds.
PAGE: Final = 500
# How far a pass may go beyond the last one, whatever the clock says. It takes a daemon that was
# off for three months two weeks to catch up, and gives a person who has set the clock to the
# wrong year as many weeks to notice.
_LONGEST_STEP_S: Final = 7 * DAY_S
_LOOK_EVERY_S: Final = 60.0
# A pass takes at most this share of the time.
_SHARE: Final = 0.1
# While images wait, one page in this time.
_BUSY_PAUSE_S: Final = 30.0
# Images looked at for one that the journal knows. New ones come first in no order.
_MAX_CANDIDATES: Final = 200


@dataclass(frozen=True, slots=True)
class _SeenImage:
    """An image that is there, and where: the watch folder is no empty mount point."""

    identity: tuple[int, int]
    image: ImageVersion

    def is_still_there(self, watch_folder: WatchFolder) -> bool:
        """Whether the same folder still shows the same image."""
        return (
            watch_folder.identity() == self.identity
            and watch_folder.look(self.image.path) is not None
        )


def trusted_now(wall_s: float, last_s: float | None, newest_s: float | None) -> float:
    """The time by which ages are taken: never later than the clock, nor far beyond the last pass.

    Args:
        wall_s: what the clock says.
        last_s: what this function gave at the last pass; None at the first.
        newest_s: the journal's last outcome, which stands in for it.
    """
    known_s = newest_s if last_s is None else last_s
    return wall_s if known_s is None else min(wall_s, known_s + _LONGEST_STEP_S)


class Retention:
    """Makes one pass a day through the journal, at idle times and in small pages."""

    def __init__(
        self,
        journal: Journal,
        watch_folders: Mapping[int, WatchFolder],
        state_dir: Path,
        days: float | None,
        *,
        is_idle: Callable[[], bool],
        on_deleted: Callable[[int], None] = lambda _rows: None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Make one that does nothing before `running` or `make_pass`.

        Args:
            journal: whose rows are deleted.
            watch_folders: the watch folders that are served. Rows of others stay.
            state_dir: keeps when the last pass was.
            days: the age; None: nothing is ever deleted.
            is_idle: whether no image waits.
            on_deleted: gets the number of rows after each page.
            wall_clock: seconds since 1970.
        """
        self._journal = journal
        self._watch_folders = watch_folders
        self._path = state_dir / NAME
        self._days = days
        self._is_idle = is_idle
        self._on_deleted = on_deleted
        self._wall_clock = wall_clock
        self._stopped = threading.Event()
        self._has_warned = False
        # Before the first image gets an outcome under a clock that may be wrong.
        self._newest_s = journal.newest_outcome_at()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make passes while the block runs."""
        if self._days is None:
            yield
            return
        # A daemon thread: a share that hangs must not keep the process from ending.
        thread = threading.Thread(target=self._run, name="retention", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join(timeout=2.0)

    def is_due(self) -> bool:
        """Whether the last pass was a day ago, or the clock was set back since."""
        wall_s, (last_at, _) = self._wall_clock(), self._last()
        return last_at is None or not 0 <= wall_s - last_at < DAY_S

    def make_pass(self) -> int:
        """Delete what is old, all in all once through the journal; returns how many rows.

        Raises:
            StorageError: the journal refuses.
        """
        if self._days is None:
            return 0
        wall_s, (_, last_s) = self._wall_clock(), self._last()
        now_s = trusted_now(wall_s, last_s, self._newest_s)
        if now_s < wall_s - DAY_S:
            log.warning(
                "the clock is %.0f days ahead of the last use; old rows of the journal are deleted "
                "as if it were %.0f days earlier",
                (wall_s - now_s + _LONGEST_STEP_S) / DAY_S,
                (wall_s - now_s) / DAY_S,
            )
        # Before the pass: one that is interrupted is not begun again at each of many starts.
        write_file(self._path, json.dumps({"at": wall_s, "trusted": now_s}).encode())
        deleted = sum(self._pages(now_s - self._days * DAY_S))
        if deleted:
            log.info("deleted %d rows of the journal older than %g days", deleted, self._days)
        return deleted

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_EVERY_S):
            try:
                if self.is_due():
                    self.make_pass()
                    self._has_warned = False
            except EdgeError as error:
                self._warn_once(str(error))
            except Exception as error:  # noqa: BLE001 - retention must not end for good
                self._warn_once(f"unexpected {type(error).__name__}")

    def _warn_once(self, text: str) -> None:
        if not self._has_warned:
            log.warning("old rows of the journal are not deleted now: %s", text)
        self._has_warned = True

    def _pages(self, until_s: float) -> Iterator[int]:
        seen: dict[int, _SeenImage] = {}
        after = 0
        while not self._stopped.is_set():
            started_s = time.monotonic()
            after, old = self._journal.old_rows(after, until_s, PAGE)
            if after == 0:
                return
            seen = self._find_seen_images(seen)
            rows = self._deletable(old, seen)
            deleted = self._journal.delete_old(rows, until_s) if rows else 0
            self._on_deleted(deleted)
            yield deleted
            self._rest(time.monotonic() - started_s)

    def _rest(self, page_s: float) -> None:
        if self._is_idle():
            self._stopped.wait(page_s * (1 / _SHARE - 1))
        else:
            self._stopped.wait(_BUSY_PAUSE_S)

    def _deletable(self, old: list[OldRow], seen: Mapping[int, _SeenImage]) -> list[OldRow]:
        """Those whose loss changes nothing: no outcome of an image that may be there."""
        gone = [
            row
            for row in old
            if row.is_outcome
            and row.folder_id in seen
            and self._watch_folders[row.folder_id].is_gone(row.path)
        ]
        # Asked again: a share that went away during the page took all its images with it.
        present = {
            id_ for id_, image in seen.items() if image.is_still_there(self._watch_folders[id_])
        }
        return [
            *(row for row in old if not row.is_outcome),
            *(row for row in gone if row.folder_id in present),
        ]

    def _find_seen_images(self, last: Mapping[int, _SeenImage]) -> dict[int, _SeenImage]:
        """One visible image per watch folder; the last page's image where it is still there."""
        found = {}
        for id_, watch_folder in self._watch_folders.items():
            image = last.get(id_)
            if image is None or not image.is_still_there(watch_folder):
                image = self._find_seen_image(watch_folder)
            if image is not None:
                found[id_] = image
        return found

    def _find_seen_image(self, watch_folder: WatchFolder) -> _SeenImage | None:
        identity = watch_folder.identity()
        if identity is None:
            return None
        seen = list(islice(image_files(watch_folder, lambda *_: None), _MAX_CANDIDATES))
        known = self._journal.known(seen)
        return _SeenImage(identity, known[0]) if known else None

    def _last(self) -> tuple[float | None, float | None]:
        """When the last pass was, by the clock and by `trusted_now`."""
        try:
            fields = parse_json(read_bounded(self._path, _MOST_BYTES))
            return float(fields["at"]), float(fields["trusted"])
        except FileNotFoundError:
            return None, None
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read ({error.strerror}).") from error
        except (ValueError, KeyError, TypeError, OverflowError):
            return None, None
