"""Whether an image that is rechecked keeps the outcome that it has.

No new result is issued for the same bytes. Permissions, a hard link, a file copied back, or an old
file server at the beginning of summer time change a file's times and not its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from daemon.image.records import ClaimedImage, Postponed, Unchanged
from daemon.image.watch_folder import WatchFolder
from edge.errors import ImageError, StorageError, TransientError
from edge.image_files.limits import ImageLimits
from edge.image_files.read import read_file
from edge.labeller import Outcome
from edge.status import Status


class Comparison:
    """Compares images with their past outcomes. Safe to use from several threads."""

    def __init__(
        self,
        watch_folders: Mapping[int, WatchFolder],
        limits: ImageLimits,
        has_sidecars: Callable[[Path], bool],
        away_delay_s: float,
    ) -> None:
        """Prepare.

        Args:
            watch_folders: the watch folders.
            limits: largest image.
            has_sidecars: whether an image has all its sidecars, from its path or its mirror in the
                results folder. Raises StorageError if that cannot be known now.
            away_delay_s: seconds that an image waits after such an error.
        """
        self._watch_folders = watch_folders
        self._limits = limits
        self._has_sidecars = has_sidecars
        self._away_delay_s = away_delay_s

    def of_bytes(self, image: ClaimedImage) -> Unchanged | Postponed | None:
        """The verdict on an image with the same bytes as before; None: it must be labelled."""
        past = image.past_outcome
        # A rejected image is judged again, as an incomplete file may look the same.
        if past is None or past.status is Status.REJECTED:
            return None
        try:
            file = read_file(self._watch_folder(image).image(image.version.path), self._limits)
        except (ImageError, TransientError):
            return None  # labelling it gives the reason
        return self._kept(image) if file.sha256 == past.sha256 else None

    def of_outcome(self, image: ClaimedImage, outcome: Outcome) -> Unchanged | Postponed | None:
        """The verdict on an image that was rejected again; None: its outcome has changed."""
        past = image.past_outcome
        if past is None or (outcome.status, str(outcome.reason), outcome.image.sha256) != (
            past.status,
            str(past.reason),
            past.sha256,
        ):
            return None
        return self._kept(image) if outcome.status is Status.REJECTED else None

    def _watch_folder(self, image: ClaimedImage) -> WatchFolder:
        return self._watch_folders[image.version.folder_id]

    def _kept(self, image: ClaimedImage) -> Unchanged | Postponed | None:
        try:
            is_whole = self._has_sidecars(self._watch_folder(image).target(image.version.path))
            return Unchanged(image) if is_whole else None
        except StorageError as error:
            cause = error.__cause__
            text = (cause.strerror if isinstance(cause, OSError) else None) or type(error).__name__
            since_s = image.unfinished_since_s
            return Postponed(image, self._away_delay_s, image.attempts, f"sidecar: {text}", since_s)
