"""Sidecars on the disk, and what happens when the disk refuses them."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from daemon.file_lock import InUseError
from daemon.records import Dropped, Finished, Postponed, Verdict
from daemon.results_names import (
    OTHER_FOLDER,
    NameTakenError,
    TakenNames,
    require_free,
    taken_by,
)
from daemon.results_place import ResultsPlace
from daemon.results_trouble import ResultsTrouble
from daemon.results_twins import FolderTwins
from daemon.roots import Root
from edge.atomic import storage_errors
from edge.errors import StorageError
from edge.open_folder import OpenFolder
from edge.safe_open import NotRegularError
from edge.sidecar import (
    ModelFacts,
    now,
    printable_name,
    sidecar_fields,
    sidecar_files,
    sidecar_path,
    write_sidecars,
)

log = logging.getLogger(__name__)

# Images that are written at once: each may have a folder of its own, which is held open.
_MAX_IMAGES: Final = 64
_REFUSED_NAMES: Final = frozenset({errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG})
# For the next look at what somebody is renaming just now.
_MOMENT_S: Final = 0.5


class ResultsWriter:
    """Writes the sidecars of finished images. Safe to call from several threads."""

    def __init__(
        self,
        roots: Mapping[int, Root],
        model: Callable[[], ModelFacts],
        formats: tuple[str, ...],
        place: ResultsPlace,
        trouble: ResultsTrouble,
        names: TakenNames,
    ) -> None:
        self._roots = roots
        self._place = place
        self._trouble = trouble
        self._names = names
        self._twins = FolderTwins()
        self._model = model
        self._formats = formats
        self._host = socket.gethostname()
        self._has_told_of_hidden = False

    def write(self, finished: list[Finished]) -> list[Verdict]:
        """Make the sidecars of finished images durable; gives what became of each.

        Raises:
            StorageError: the disk refuses one.
        """

        def refuse(_image: Finished, error: StorageError) -> Verdict:
            raise error

        return self._write_or(refuse, finished)

    def write_or_postpone(self, finished: list[Finished]) -> list[Verdict]:
        """As `write`; images whose sidecars are not durable are postponed instead."""
        return self._write_or(self._postpone, finished)

    @property
    def left(self) -> int:
        """Images that `once` leaves without a result: others have the names of their sidecars."""
        return self._names.left

    def review(self) -> None:
        """Say and note what has ended by time alone. Never waits."""
        self._trouble.review()
        self._names.review()

    def _write_or(
        self, refuse: Callable[[Finished, StorageError], Verdict], finished: list[Finished]
    ) -> list[Verdict]:
        # A folder that refuses, or one impossible name, must not keep the others of its batch
        # from their results.
        verdicts: list[Verdict] = []
        for start in range(0, len(finished), _MAX_IMAGES):
            part = finished[start : start + _MAX_IMAGES]
            try:
                verdicts += self._write(part)
            except StorageError as error:
                if len(part) == 1:
                    return [self._judge(part[0], error) or refuse(part[0], error)]
                for image in part:
                    verdicts += self._write_or(refuse, [image])
        return verdicts

    def _write(self, finished: list[Finished]) -> list[Verdict]:
        with ExitStack() as opened:
            paths = dict.fromkeys(self._target(image).parent for image in finished)
            held = {path: opened.enter_context(self._place.open(path)) for path in paths}
            # A lock file made before would lie on a bare mount point.
            since_s = self._trouble.begin_write(held)
            waiting = [self._waiting(image, held) for image in finished]
            free = [image for image, wait in zip(finished, waiting, strict=True) if wait is None]
            self._write_free(free, held)
            # Of a share that was unmounted meanwhile, nothing that was written counts.
            self._place.require(held)
            verdicts = [self._outcome(image, held) for image in free]
        self._names.has(image.image for image in free)
        if free:
            self._trouble.written({self._target(image).parent for image in free}, since_s)
        return [*verdicts, *(wait for wait in waiting if wait is not None)]

    def _write_free(self, finished: list[Finished], held: Mapping[Path, OpenFolder]) -> None:
        files: list[tuple[Path, bytes]] = []
        image_of: dict[Path, Finished] = {}
        for image in finished:
            found = self._files(image)
            files += found
            image_of |= dict.fromkeys((path for path, _ in found), image)

        def before_rename(path: Path) -> None:
            require_free(*self._name(image_of[path], path, held))

        write_sidecars(files, held=held, before_rename=before_rename)
        if not self._has_told_of_hidden and not all(one.takes_hidden for one in held.values()):
            self._has_told_of_hidden = True
            log.warning(
                "hidden names are refused where the results go; temporary files are named "
                "edge-*.tmp there"
            )

    def _waiting(self, finished: Finished, held: Mapping[Path, OpenFolder]) -> Postponed | None:
        """The image put off, where somebody else has the name of one of its sidecars."""
        version = finished.image.version
        root, target = self._roots[version.root], self._target(finished)
        with storage_errors("list", target.parent):
            if not self._place.is_beside and self._twins.has(root, version.path):
                return self._names.wait(finished, OTHER_FOLDER)
        for format_ in self._formats:
            name = self._name(finished, sidecar_path(target, format_), held)
            if who := taken_by(*name):
                return self._names.wait(finished, who)
        return None

    def _name(
        self, finished: Finished, path: Path, held: Mapping[Path, OpenFolder]
    ) -> tuple[OpenFolder, str, str, Callable[[], Iterator[str]]]:
        """A sidecar's folder and name, its image's name, and the images beside that."""
        version = finished.image.version
        image = self._roots[version.root].image(version.path)
        return held[path.parent], path.name, printable_name(image), lambda: _names_in(image.parent)

    def _outcome(self, finished: Finished, held: Mapping[Path, OpenFolder]) -> Verdict:
        """Finished, unless the image's folder was taken away while its sidecar was written."""
        folder = self._target(finished).parent
        if self._place.is_beside and not held[folder].is_still_at(folder):
            return self._gone(finished)
        return finished

    def _judge(self, finished: Finished, error: StorageError) -> Verdict | None:
        """What becomes of an image where no disk is to blame; None: one is."""
        if isinstance(error, NameTakenError):
            return self._later(finished, "sidecar name: taken just now")
        if _is_about_a_name(error):
            return self._names.wait(finished, f"refused there ({_reason(error)})")
        if self._place.is_beside and isinstance(error.__cause__, FileNotFoundError):
            return self._gone(finished)
        return None

    def _gone(self, finished: Finished) -> Verdict:
        """People rename, move and delete the folders of images: found again, they are new."""
        version = finished.image.version
        root = self._roots[version.root]
        if root.look(version.path) is None and root.identity() is not None:
            return Dropped(finished.image, "gone")
        return self._later(finished, "the folder of the image was renamed or removed")

    def _later(self, finished: Finished, cause: str) -> Postponed:
        image = finished.image
        return Postponed(image, _MOMENT_S, image.attempts, cause, image.unfinished_since_s)

    def _target(self, finished: Finished) -> Path:
        version = finished.image.version
        return self._roots[version.root].target(version.path)

    def _files(self, finished: Finished) -> list[tuple[Path, bytes]]:
        version = finished.image.version
        origin = self._roots[version.root].origin(version.path)
        model = finished.model or self._model()
        fields = sidecar_fields(
            finished.outcome,
            origin,
            model,
            host=self._host,
            created=now(),
        )
        target = self._target(finished)
        return sidecar_files(target, fields, model.classes, self._formats)

    def _postpone(self, finished: Finished, error: StorageError) -> Postponed:
        image = finished.image
        reason = _reason(error)
        delay_s = self._trouble.refused(self._target(finished).parent, reason)
        return Postponed(
            image, delay_s, image.attempts, f"sidecar: {reason}", image.unfinished_since_s
        )


def _reason(error: StorageError) -> str:
    if isinstance(error, InUseError):
        return "another daemon writes there"
    cause = error.__cause__
    # The error's own text holds the image's path.
    return (cause.strerror if isinstance(cause, OSError) else None) or type(error).__name__


def _is_about_a_name(error: StorageError) -> bool:
    """Whether the share takes no such name: `a:b.jpg.json`, or a longer one than it knows."""
    cause = error.__cause__
    # What fails without a name, such as fsync(2), fails for other reasons.
    if not isinstance(cause, OSError) or isinstance(cause, NotRegularError):
        return False
    return cause.filename is not None and cause.errno in _REFUSED_NAMES


def _names_in(folder: Path) -> Iterator[str]:
    """The names in an image's folder, as sidecars have them; none where it cannot be listed."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            yield printable_name(Path(entry.name))
