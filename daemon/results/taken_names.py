"""Sidecars whose file name is taken. A file that another program wrote is never replaced.

Beside images other programs have files of any name. A share may also treat two names as one:
`IMG.JPG` and `img.jpg`, two Unicode forms, a name with and without a dot at its end.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from daemon.health.health import Health
from daemon.image.records import LATER_RUN, ClaimedImage, Finished, Postponed
from daemon.system.clock import Clock
from edge.errors import StorageError
from edge.files.atomic import storage_errors
from edge.files.open_folder import OpenFolder
from edge.files.safe_open import NotRegularError, TooLargeError, read_bounded
from edge.sidecar import image_in_sidecar, image_of_sidecar
from edge.text.counted import counted
from edge.text.printable import printable_name

log = logging.getLogger(__name__)

# Beginning of the cause in the journal's row of such an image.
CAUSE: Final = "sidecar name: "
_OTHER_PROGRAM: Final = "taken by a file of another program"
OTHER_FOLDER: Final = "taken by a folder whose name is the same there"
_OTHER_IMAGE: Final = "taken by the sidecar of another image"
# Ten times the size of a sidecar with a thousand classes.
_LARGEST_BYTES: Final = 2**20
# Longest time between two attempts, each of which labels the image again.
_LONGEST_WAIT_S: Final = 300.0
# Logged again only after so long without such an image.
_QUIET_S: Final = 600.0
_MAX_REMEMBERED: Final = 10_000


class NameTakenError(StorageError):
    """Another file has the name of a sidecar."""


def taken_by(folder: OpenFolder, path: Path, image: Path) -> str | None:
    """What has the name of a sidecar; None: nothing, or an older sidecar of the same image.

    Args:
        folder: the sidecar's folder.
        path: the sidecar.
        image: its image.

    Raises:
        StorageError: the file cannot be looked at.
    """
    with storage_errors("look at", path):
        try:
            content = read_bounded(path.name, _LARGEST_BYTES, dir_fd=folder.descriptor)
        except FileNotFoundError:
            return None
        except (NotRegularError, TooLargeError, PermissionError):
            # A sidecar of this product would be readable.
            return _OTHER_PROGRAM
    format_ = path.suffix.removeprefix(".")
    found = image_of_sidecar(content, format_)
    if found is None:
        return _OTHER_PROGRAM
    if found == image_in_sidecar(printable_name(image), format_):
        return None
    # If the other image is gone, its sidecar may be replaced: the image was renamed or replaced.
    is_there = any(image_in_sidecar(other, format_) == found for other in _names_in(image.parent))
    return _OTHER_IMAGE if is_there else None


class TakenNames:
    """Images that wait for the names of their sidecars. Safe to use from any thread."""

    def __init__(self, health: Health, *, is_once: bool, clock: Clock = time.monotonic) -> None:
        """Begin without such images.

        Args:
            health: shows whether there are any.
            is_once: whether this is `once`, which leaves such images to the next run.
            clock: monotonic seconds.
        """
        self._health = health
        self._is_once = is_once
        self._clock = clock
        self._guard = threading.Lock()
        # Row of each waiting image and the time of its next attempt, in the order of the last one.
        self._due_s: dict[int, float] = {}
        self._waited_s = float("-inf")
        self.left = 0

    def wait(self, finished: Finished, who: str) -> Postponed:
        """Postpone an image, each time twice as long, up to five minutes."""
        image, now_s = finished.image, self._clock()
        since_s = now_s if image.unfinished_since_s is None else image.unfinished_since_s
        delay_s = min(max(1.0, now_s - since_s), _LONGEST_WAIT_S)
        with self._guard:
            self._due_s.pop(image.id, None)
            self._due_s[image.id] = now_s + delay_s
            if len(self._due_s) > _MAX_REMEMBERED:
                del self._due_s[next(iter(self._due_s))]
            self.left += self._is_once
            if now_s - self._waited_s > _QUIET_S:
                self._log(who)
            self._waited_s = now_s
        self._update_health()
        delay_s = LATER_RUN if self._is_once else delay_s
        return Postponed(image, delay_s, image.attempts, f"{CAUSE}{who}", since_s)

    def resolved(self, images: Iterable[ClaimedImage]) -> None:
        """Note that the sidecars of these images were written."""
        if self._due_s:
            with self._guard:
                for image in images:
                    self._due_s.pop(image.id, None)
            self._update_health()

    def review(self) -> None:
        """Forget images that were not tried again, as they are gone."""
        if self._due_s:
            oldest_s = self._clock() - _LONGEST_WAIT_S
            with self._guard:
                for id_ in [id_ for id_, due_s in self._due_s.items() if due_s < oldest_s]:
                    del self._due_s[id_]
            self._update_health()

    def _log(self, who: str) -> None:
        log.warning(
            "the name of a sidecar is %s; its image waits. Move that file away, or set "
            "results.folder; edge-daemon status counts such images",
            who,
        )

    def _update_health(self) -> None:
        reason = "the names of some sidecars are taken or refused; their images wait"
        self._health.set("sidecar names", ok=not self._due_s, reason=reason, is_vital=False)


def left_text(left: int) -> str:
    """The error line of `once` about images whose sidecars it could not write."""
    return (
        f"{counted(left, 'image')} without sidecars: their names are taken by other files, or "
        "refused. Move those files, or set results.folder, and start again."
    )


def require_free(folder: OpenFolder, path: Path, image: Path) -> None:
    """Check the name once more, just before the file becomes visible.

    Raises:
        NameTakenError: another program, or another image of this batch, has taken the name since.
    """
    if who := taken_by(folder, path, image):
        raise NameTakenError(f"{path} is {who}.")


def _names_in(folder: Path) -> Iterator[str]:
    """The names in an image's folder, as sidecars hold them; none if it cannot be listed."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            yield printable_name(Path(entry.name))
