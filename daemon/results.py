"""Sidecars on the disk, and what happens when the disk refuses them."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from daemon.folder_lock import FolderLocks
from daemon.health import Health
from daemon.records import Finished, Postponed
from daemon.results_place import ResultsPlace
from daemon.retry import RetryPolicy
from daemon.roots import Root
from edge.errors import StorageError
from edge.sidecar import ModelFacts, now, sidecar_fields, sidecar_files, write_sidecars

log = logging.getLogger(__name__)


class ResultsTrouble:
    """Who is told when sidecars cannot be written, and when they can again."""

    def __init__(self, locks: FolderLocks, health: Health) -> None:
        self._locks = locks
        self._health = health

    def begin(self, reason: str | None) -> None:
        """Sidecars cannot be written."""
        self._locks.let_go()
        # Without the error's own text, which holds the image's path.
        log.error("sidecars cannot be written (%s); their images wait until they can", reason)
        text = "sidecars cannot be written; their images wait"
        self._health.set("results", ok=False, reason=text, is_vital=False)

    def end(self) -> None:
        """They can again.

        Raises:
            StorageError: another daemon has taken the folder meanwhile.
        """
        self._locks.take()
        self._health.set("results", ok=True, is_vital=False)
        log.warning("sidecars can be written again")


class ResultsWriter:
    """Writes the sidecars of finished images. Safe to call from several threads."""

    def __init__(
        self,
        roots: Mapping[int, Root],
        model: Callable[[], ModelFacts],
        formats: tuple[str, ...],
        policy: RetryPolicy,
        place: ResultsPlace,
        trouble: ResultsTrouble,
    ) -> None:
        self._roots = roots
        self._place = place
        self._trouble = trouble
        self._model = model
        self._formats = formats
        self._policy = policy
        self._host = socket.gethostname()
        self._lock = threading.Lock()
        # Failures in a row of each folder that refuses now.
        self._refusing: dict[Path, int] = {}

    def write(self, finished: list[Finished]) -> None:
        """Make the sidecars of finished images durable.

        Raises:
            StorageError: not all of them are.
        """
        folders = {self._target(image).parent for image in finished}
        self._place.require(folders)
        write_sidecars([file for image in finished for file in self._files(image)])
        # Of a share that was unmounted meanwhile, nothing that was written counts.
        self._place.require(folders)
        if self._refusing:
            self._note_success(folders)

    def write_or_postpone(self, finished: list[Finished]) -> list[Finished | Postponed]:
        """As `write`; images whose sidecars are not durable are postponed instead.

        A folder that refuses, or one impossible name, must not keep the others of its batch
        from their results.
        """
        try:
            self.write(finished)
        except StorageError as error:
            if len(finished) == 1:
                return [self._postpone(finished[0], error)]
            return [verdict for image in finished for verdict in self.write_or_postpone([image])]
        return list(finished)

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
        folder, image = self._target(finished).parent, finished.image
        with self._lock:
            is_first = not self._refusing
            failures = self._refusing[folder] = self._refusing.get(folder, 0) + 1
        cause = error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) else None
        if is_first:
            self._trouble.begin(reason)
        delay_s = self._policy.delay_s(failures)
        return Postponed(
            image, delay_s, image.attempts, f"sidecar: {reason}", image.unfinished_since_s
        )

    def _note_success(self, folders: set[Path]) -> None:
        with self._lock:
            for folder in folders:
                self._refusing.pop(folder, None)
            is_over = not self._refusing
        if is_over:
            self._trouble.end()
