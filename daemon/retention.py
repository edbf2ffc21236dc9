"""Deletes journal rows by their age, so that the journal does not grow for ever.

A row is deleted `retention_days` after it was closed: an earlier outcome of an image, a version
that vanished or changed, or an outcome whose image has left the export. The row of an image that is
still there is kept at any age, or the image would be labelled again. SQLite reuses the space: the
file stops growing, but does not shrink.

A share that is away looks as if all of its images were gone. So an image counts as gone only while
another image of its folder that the journal knows is visible, before and after the check and on
the same device.

A clock set to next year would make every row old; see `trusted_now`.
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
from daemon.intake.walk import image_files
from daemon.journal.journal import Journal
from edge.errors import EdgeError, StorageError
from edge.files.atomic import write_file
from edge.files.safe_open import read_bounded
from edge.files.strict_json import parse_json

log = logging.getLogger(__name__)

NAME: Final = "retention.json"
_MOST_BYTES: Final = 4096
DAY_S: Final = 86_400.0
# Rows per transaction. A claim that comes meanwhile waits for a few milliseconds.
PAGE: Final = 500
# The trusted time advances by at most this much with each daily pass. A daemon that was off for
# three months needs two weeks to catch up; a clock that is a year ahead can be noticed for weeks.
_LONGEST_STEP_S: Final = 7 * DAY_S
_LOOK_EVERY_S: Final = 60.0
# Largest share of the time that a pass works.
_SHARE: Final = 0.1
# Pause after each page while images wait.
_BUSY_PAUSE_S: Final = 30.0
# How many images are looked at to find one that the journal knows.
_MAX_CANDIDATES: Final = 200


@dataclass(frozen=True, slots=True)
class _SeenImage:
    """A visible image and its watch folder's identity: proof that the folder is mounted."""

    identity: tuple[int, int]
    image: ImageVersion

    def is_still_there(self, watch_folder: WatchFolder) -> bool:
        """Whether the same folder still shows the same image."""
        return (
            watch_folder.identity() == self.identity
            and watch_folder.look(self.image.path) is not None
        )


def trusted_now(wall_s: float, last_s: float | None, newest_s: float | None) -> float:
    """The time from which ages are counted: the clock's, but at most 7 days after the last pass.

    All times are seconds since 1970.

    Args:
        wall_s: the clock's time.
        last_s: the result of the last pass; None at the first.
        newest_s: the journal's last outcome, used at the first pass.
    """
    known_s = newest_s if last_s is None else last_s
    return wall_s if known_s is None else min(wall_s, known_s + _LONGEST_STEP_S)


class Retention:
    """Deletes old rows once a day, in small pages and slowly."""

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
        """Prepare; nothing happens before `running` or `make_pass`.

        Args:
            journal: whose rows are deleted.
            watch_folders: the configured watch folders. Outcomes of other folders are kept.
            state_dir: holds the file with the time of the last pass.
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
        # Read now, before this process stores an outcome with a clock that may be wrong.
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
        """Go through the journal once and delete old rows; returns how many.

        Raises:
            StorageError: the journal cannot be read or written.
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
        # Written before the pass, so that frequent restarts do not repeat it each time.
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
        """The rows that may be deleted: none with the outcome of an image that may be there."""
        gone = [
            row
            for row in old
            if row.is_outcome
            and row.folder_id in seen
            and self._watch_folders[row.folder_id].is_gone(row.path)
        ]
        # Checked again: the share may have gone away while the images were looked at.
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
        """When the last pass was, by the clock and by `trusted_now`; None if unknown."""
        try:
            fields = parse_json(read_bounded(self._path, _MOST_BYTES))
            return float(fields["at"]), float(fields["trusted"])
        except FileNotFoundError:
            return None, None
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be read ({error.strerror}). Check its permissions."
            ) from error
        except (ValueError, KeyError, TypeError, OverflowError):
            return None, None
