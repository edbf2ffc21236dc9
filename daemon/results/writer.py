"""Writes the sidecars of finished images; decides what happens to an image when that fails."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from daemon.image.records import Dropped, Finished, Postponed, Verdict
from daemon.image.watch_folder import WatchFolder
from daemon.results.destination import Destination
from daemon.results.outage import Outage
from daemon.results.taken_names import (
    OTHER_FOLDER,
    NameTakenError,
    TakenNames,
    require_free,
    taken_by,
)
from daemon.results.twin_folders import FolderTwins
from daemon.system.locks import InUseError
from edge.errors import StorageError
from edge.files.atomic import storage_errors
from edge.files.open_folder import OpenFolder
from edge.files.safe_open import NotRegularError
from edge.sidecar import (
    ModelFacts,
    now,
    sidecar_fields,
    sidecar_files,
    write_sidecars,
)

log = logging.getLogger(__name__)

# Images written together; each may be in a folder of its own, which is held open.
_MAX_IMAGES: Final = 64
_REFUSED_NAMES: Final = frozenset({errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG})
# Delay of an image whose folder is being renamed.
_RENAME_DELAY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Sidecars:
    """The sidecars of an image: paths, all in `folder`, and contents."""

    finished: Finished
    image: Path
    folder: Path
    files: list[tuple[Path, bytes]]


class ResultsWriter:
    """Writes the sidecars of finished images. Safe to call from several threads."""

    def __init__(
        self,
        watch_folders: Mapping[int, WatchFolder],
        model: Callable[[], ModelFacts],
        formats: tuple[str, ...],
        destination: Destination,
        outage: Outage,
        names: TakenNames,
    ) -> None:
        self._watch_folders = watch_folders
        self._destination = destination
        self._outage = outage
        self._names = names
        self._twins = FolderTwins()
        self._model = model
        self._formats = formats
        self._host = socket.gethostname()
        self._has_warned_of_hidden = False

    def write(self, finished: list[Finished]) -> list[Verdict]:
        """Make the sidecars of finished images durable; returns a verdict for each image.

        Raises:
            StorageError: one cannot be written.
        """

        def refuse(_image: Finished, error: StorageError) -> Verdict:
            raise error

        return self._write_or(refuse, finished)

    def write_or_postpone(self, finished: list[Finished]) -> list[Verdict]:
        """As `write`, but images whose sidecars cannot be written are postponed."""
        return self._write_or(self._postpone, finished)

    @property
    def left(self) -> int:
        """Images that `once` leaves without sidecars, as the names are taken or refused."""
        return self._names.left

    def review(self) -> None:
        """Notice the end of outages and of taken names. Never waits."""
        self._outage.review()
        self._names.review()

    def _write_or(
        self, refuse: Callable[[Finished, StorageError], Verdict], finished: list[Finished]
    ) -> list[Verdict]:
        # After a failure each image is written alone, so that one folder or name that is refused
        # does not affect the others of its batch.
        verdicts: list[Verdict] = []
        for start in range(0, len(finished), _MAX_IMAGES):
            part = finished[start : start + _MAX_IMAGES]
            try:
                # A call that no step below names must not end the service either.
                with storage_errors("write sidecars in", self._folder(part[0])):
                    verdicts += self._write(part)
            except StorageError as error:
                if len(part) == 1:
                    return [self._judge(part[0], error) or refuse(part[0], error)]
                for image in part:
                    verdicts += self._write_or(refuse, [image])
        return verdicts

    def _write(self, finished: list[Finished]) -> list[Verdict]:
        found = [self._sidecars(image) for image in finished]
        with ExitStack() as opened:
            paths = dict.fromkeys(one.folder for one in found)
            held = {path: opened.enter_context(self._destination.open(path)) for path in paths}
            # After the check that the destination is mounted: it may make a lock file.
            since_s = self._outage.begin_write(held)
            waiting = [self._waiting(one, held[one.folder]) for one in found]
            free = [one for one, wait in zip(found, waiting, strict=True) if wait is None]
            self._write_free(free, held)
            # If the share was unmounted meanwhile, the mount point may now hide the sidecars.
            self._destination.require(held)
            moved = self._moved(held)
        verdicts = [self._gone(o.finished) if o.folder in moved else o.finished for o in free]
        self._names.resolved(one.finished.image for one in free)
        if free:
            self._outage.written({one.folder for one in free}, since_s)
        return [*verdicts, *(wait for wait in waiting if wait is not None)]

    def _write_free(self, found: list[_Sidecars], held: Mapping[Path, OpenFolder]) -> None:
        places = {path: (held[one.folder], one.image) for one in found for path, _ in one.files}

        def before_rename(path: Path) -> None:
            folder, image = places[path]
            require_free(folder, path, image)

        files = [file for one in found for file in one.files]
        write_sidecars(files, held=held, before_rename=before_rename)
        if not self._has_warned_of_hidden and not all(one.allows_hidden for one in held.values()):
            self._has_warned_of_hidden = True
            log.warning(
                "the destination of the sidecars refuses hidden names; temporary files there are "
                "named edge-*.tmp"
            )

    def _waiting(self, found: _Sidecars, folder: OpenFolder) -> Postponed | None:
        """Postpone an image if the name of a sidecar is taken; None: all names are free."""
        version = found.finished.image.version
        with storage_errors("list", found.folder):
            watch_folder = self._watch_folders[version.folder_id]
            if not self._destination.is_beside and self._twins.has(watch_folder, version.path):
                return self._names.wait(found.finished, OTHER_FOLDER)
        for path, _ in found.files:
            if who := taken_by(folder, path, found.image):
                return self._names.wait(found.finished, who)
        return None

    def _moved(self, held: Mapping[Path, OpenFolder]) -> set[Path]:
        """The folders of images that were moved while sidecars were written into them."""
        if not self._destination.is_beside:
            return set()
        return {path for path, folder in held.items() if not folder.is_still_at(path)}

    def _judge(self, finished: Finished, error: StorageError) -> Verdict | None:
        """The verdict on an error that concerns this image alone; None: the disk failed."""
        if isinstance(error, NameTakenError):
            return self._later(finished, "sidecar name: taken just now")
        if _is_about_a_name(error):
            return self._names.wait(finished, f"refused there ({_reason(error)})")
        if self._destination.is_beside and isinstance(error.__cause__, FileNotFoundError):
            return self._gone(finished)
        return None

    def _gone(self, finished: Finished) -> Verdict:
        """The verdict on an image whose folder was renamed, moved or deleted."""
        version = finished.image.version
        watch_folder = self._watch_folders[version.folder_id]
        if watch_folder.look(version.path) is None and watch_folder.identity() is not None:
            return Dropped(finished.image, "gone")
        return self._later(finished, "the folder of the image was renamed or removed")

    def _later(self, finished: Finished, cause: str) -> Postponed:
        image = finished.image
        return Postponed(image, _RENAME_DELAY_S, image.attempts, cause, image.unfinished_since_s)

    def _sidecars(self, finished: Finished) -> _Sidecars:
        version = finished.image.version
        watch_folder = self._watch_folders[version.folder_id]
        model = finished.model or self._model()
        fields = sidecar_fields(
            finished.outcome,
            watch_folder.origin(version.path),
            model,
            host=self._host,
            created=now(),
            drift_since=_moment(finished.drift_since_s),
        )
        target = watch_folder.target(version.path)
        files = sidecar_files(target, fields, model.classes, self._formats)
        return _Sidecars(finished, watch_folder.image(version.path), target.parent, files)

    def _postpone(self, finished: Finished, error: StorageError) -> Postponed:
        image = finished.image
        reason = _reason(error)
        delay_s = self._outage.refused(self._folder(finished), reason)
        return Postponed(
            image, delay_s, image.attempts, f"sidecar: {reason}", image.unfinished_since_s
        )

    def _folder(self, finished: Finished) -> Path:
        version = finished.image.version
        return self._watch_folders[version.folder_id].target(version.path).parent


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).astimezone()


def _reason(error: StorageError) -> str:
    if isinstance(error, InUseError):
        return "another daemon writes there"
    cause = error.__cause__
    # The error's own text holds the image's path.
    return (cause.strerror if isinstance(cause, OSError) else None) or type(error).__name__


def _is_about_a_name(error: StorageError) -> bool:
    """Whether the file system refuses the name, such as `a:b.jpg.json` or one that is too long."""
    cause = error.__cause__
    # Errors of calls without a name, such as fsync(2), have other reasons.
    if not isinstance(cause, OSError) or isinstance(cause, NotRegularError):
        return False
    return cause.filename is not None and cause.errno in _REFUSED_NAMES
