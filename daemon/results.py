"""Sidecars on the disk, and what happens when the disk refuses them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from daemon.records import Finished, Postponed
from daemon.results_place import ResultsPlace
from daemon.results_trouble import ResultsTrouble
from daemon.roots import Root
from edge.errors import StorageError
from edge.sidecar import ModelFacts, now, sidecar_fields, sidecar_files, write_sidecars


class ResultsWriter:
    """Writes the sidecars of finished images. Safe to call from several threads."""

    def __init__(
        self,
        roots: Mapping[int, Root],
        model: Callable[[], ModelFacts],
        formats: tuple[str, ...],
        place: ResultsPlace,
        trouble: ResultsTrouble,
    ) -> None:
        self._roots = roots
        self._place = place
        self._trouble = trouble
        self._model = model
        self._formats = formats
        self._host = socket.gethostname()

    def write(self, finished: list[Finished]) -> None:
        """Make the sidecars of finished images durable.

        Raises:
            StorageError: not all of them are.
        """
        folders = {self._target(image).parent for image in finished}
        beginnings = self._trouble.beginnings
        self._place.require(folders)
        write_sidecars([file for image in finished for file in self._files(image)])
        # Of a share that was unmounted meanwhile, nothing that was written counts.
        self._place.require(folders)
        self._trouble.written(folders, beginnings)

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

    def forget_old_refusals(self) -> None:
        """See to it that a folder whose images are gone does not count as refusing. Never waits."""
        self._trouble.forget_old()

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
        image, cause = finished.image, error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) else None
        delay_s = self._trouble.refused(self._target(finished).parent, reason)
        return Postponed(
            image, delay_s, image.attempts, f"sidecar: {reason}", image.unfinished_since_s
        )
