"""Names of sidecars that are taken: what is not this product's is never replaced.

Beside an image lie files of other programs, of any name. And a share may hold two names for one:
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
from edge.sidecar import image_in_sidecar, image_of_sidecar, printable_name

log = logging.getLogger(__name__)

# Beginning of what the journal says of an image that waits for a name.
CAUSE: Final = "sidecar name: "
_OTHER_PROGRAM: Final = "taken by a file of another program"
OTHER_FOLDER: Final = "taken by a folder whose name is the same there"
_OTHER_IMAGE: Final = "taken by the sidecar of another image"
# Ten times what a sidecar with a thousand classes has.
_LARGEST_BYTES: Final = 2**20
# Each try labels the image once more. One that has waited for long is tried this seldom.
_LONGEST_WAIT_S: Final = 300.0
# What is held up by turns is said this often.
_QUIET_S: Final = 600.0
_MAX_REMEMBERED: Final = 10_000


class NameTakenError(StorageError):
    """The name of a sidecar is somebody else's."""


def taken_by(folder: OpenFolder, path: Path, image: Path) -> str | None:
    """Who else has the name of a sidecar; None: nobody, or an older sidecar of the same image.

    Args:
        folder: that the sidecar is to be written to.
        path: of the sidecar.
        image: its image.

    Raises:
        StorageError: the disk or share does not tell.
    """
    with storage_errors("look at", path):
        try:
            content = read_bounded(path.name, _LARGEST_BYTES, dir_fd=folder.descriptor)
        except FileNotFoundError:
            return None
        except (NotRegularError, TooLargeError, PermissionError):
            # This user can read what this product has written.
            return _OTHER_PROGRAM
    format_ = path.suffix.removeprefix(".")
    found = image_of_sidecar(content, format_)
    if found is None:
        return _OTHER_PROGRAM
    if found == image_in_sidecar(printable_name(image), format_):
        return None
    # Of an image that is gone, whose name, or almost its name, this one has now.
    is_there = any(image_in_sidecar(other, format_) == found for other in _names_in(image.parent))
    return _OTHER_IMAGE if is_there else None


class TakenNames:
    """Images that wait for the names of their sidecars. Safe to use from any thread."""

    def __init__(self, health: Health, *, is_once: bool, clock: Clock = time.monotonic) -> None:
        """Know of none.

        Args:
            health: told while images wait.
            is_once: whether this run has an end. It leaves such images to the next one.
            clock: monotonic.
        """
        self._health = health
        self._is_once = is_once
        self._clock = clock
        self._guard = threading.Lock()
        # The images that wait, with the time of their next try, in the order of the last one.
        self._due_s: dict[int, float] = {}
        self._said_s = float("-inf")
        self.left = 0

    def wait(self, finished: Finished, who: str) -> Postponed:
        """Have an image wait: as long again as it has waited already."""
        image, now_s = finished.image, self._clock()
        since_s = now_s if image.unfinished_since_s is None else image.unfinished_since_s
        delay_s = min(max(1.0, now_s - since_s), _LONGEST_WAIT_S)
        with self._guard:
            self._due_s.pop(image.id, None)
            self._due_s[image.id] = now_s + delay_s
            if len(self._due_s) > _MAX_REMEMBERED:
                del self._due_s[next(iter(self._due_s))]
            self.left += self._is_once
            if now_s - self._said_s > _QUIET_S:
                self._say(who)
            self._said_s = now_s
        self._update_health()
        delay_s = LATER_RUN if self._is_once else delay_s
        return Postponed(image, delay_s, image.attempts, f"{CAUSE}{who}", since_s)

    def resolved(self, images: Iterable[ClaimedImage]) -> None:
        """Note that images wait no longer."""
        if self._due_s:
            with self._guard:
                for image in images:
                    self._due_s.pop(image.id, None)
            self._update_health()

    def review(self) -> None:
        """Forget images that were not tried again: they are gone."""
        if self._due_s:
            oldest_s = self._clock() - _LONGEST_WAIT_S
            with self._guard:
                for id_ in [id_ for id_, due_s in self._due_s.items() if due_s < oldest_s]:
                    del self._due_s[id_]
            self._update_health()

    def _say(self, who: str) -> None:
        log.warning(
            "the name of a sidecar is %s; the image waits, and what is there stays as it is. "
            "Set results.folder, or move that away; edge-daemon status counts such images",
            who,
        )

    def _update_health(self) -> None:
        reason = "the names of some sidecars are taken or refused; their images wait"
        self._health.set("sidecar names", ok=not self._due_s, reason=reason, is_vital=False)


def left_text(left: int) -> str:
    """What `once` says of images that it has left without a result."""
    return (
        f"{left} images have no result, since the names of their sidecars are taken or refused "
        "where they go. Move what is there, or set results.folder, and start again."
    )


def require_free(folder: OpenFolder, path: Path, image: Path) -> None:
    """As `taken_by`, for the moment before the file becomes visible.

    Raises:
        NameTakenError: somebody has taken the name meanwhile, or another image of this batch.
    """
    if who := taken_by(folder, path, image):
        raise NameTakenError(f"{path} is {who}.")


def _names_in(folder: Path) -> Iterator[str]:
    """The names in an image's folder, as sidecars have them; none where it cannot be listed."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            yield printable_name(Path(entry.name))
