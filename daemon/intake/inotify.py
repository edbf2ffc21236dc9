"""Hints from inotify, which reports most new files at once.

They only shorten the wait: any failure here counts as a lost hint, and after a lost hint the rescan
finds the file.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from pathlib import Path
from typing import ClassVar, Final

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver
from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

from daemon.image.watch_folder import WatchFolder
from daemon.intake.hints import Hint, HintKind, Hints
from daemon.intake.inotify_probe import InotifyProbe
from daemon.system.clock import Clock
from edge.system.mounts import is_on_share

log = logging.getLogger(__name__)

# How often threads and folder are checked, and the pause after a watch that failed.
_CHECK_S: Final = 1.0
_AFTER_FAILURE_S: Final = 30.0
# Longest wait for the end of an observer, which then ends in the background.
_CLOSE_S: Final = 2.0


# After a file is moved away, watchdog holds all events back for this time (default 0.5 s), in case
# the file appears elsewhere below the folder. A LIS that moves images out would stop all hints.
# Within the folder both events of a move come together, so a shorter time is enough.
InotifyMoveEventGrouper.delay = 0.01


class HintHandler(FileSystemEventHandler):
    """Turns the events of one watch folder into hints."""

    KINDS: ClassVar[dict[type[FileSystemEvent], HintKind]] = {
        FileMovedEvent: HintKind.RENAMED_IN,
        FileClosedEvent: HintKind.CLOSED,
        FileCreatedEvent: HintKind.CREATED,
        DirCreatedEvent: HintKind.NEW_FOLDER,
        DirMovedEvent: HintKind.NEW_FOLDER,
    }

    def __init__(self, watch_folder: WatchFolder, folder: Path, hints: Hints) -> None:
        self._watch_folder = watch_folder
        self._prefix = os.fsencode(folder) + b"/"
        self._hints = hints

    def dispatch(self, event: FileSystemEvent) -> None:
        """Add a hint for an event of an image or a folder."""
        kind = self.KINDS.get(type(event))
        is_move = isinstance(event, FileMovedEvent | DirMovedEvent)
        path = os.fsencode(event.dest_path if is_move else event.src_path)
        if kind is None or not path.startswith(self._prefix):
            return  # for example moved out of the watch folder
        relative = path[len(self._prefix) :]
        is_wanted = (
            self._watch_folder.has_folder(relative)
            if kind is HintKind.NEW_FOLDER
            else self._watch_folder.has_image(relative)
        )
        if is_wanted:
            self._hints.put(Hint(self._watch_folder.id, relative, kind))


class _Observer(InotifyObserver):
    """An observer that knows whether all of its threads are alive."""

    def __init__(self) -> None:
        # Otherwise a file moved in from elsewhere is reported as created.
        super().__init__(generate_full_events=True)

    def is_working(self) -> bool:
        """Whether reader, emitters and dispatcher all run."""
        threads = (self, self._inotify_fd, *self.emitters)
        return bool(self.emitters) and all(thread.is_alive() for thread in threads)


class InotifyWatch:
    """Watches one folder, and starts again after any failure.

    Threads may be alive and deliver nothing. So the probe, a file in the state folder, is touched
    every second, and its event must arrive through the same observer as those of images.
    """

    def __init__(
        self,
        watch_folder: WatchFolder,
        hints: Hints,
        *,
        poll: str = "auto",
        probe: InotifyProbe | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._watch_folder = watch_folder
        self._hints = hints
        self._poll = poll
        self._probe = probe
        self._clock = clock
        self._next_check_s = 0.0
        self._observer: _Observer | None = None
        self._identity: tuple[int, int] | None = None
        self._has_warned = False

    @property
    def is_watching(self) -> bool:
        """Whether hints can be expected."""
        is_missed = self._probe is not None and self._probe.is_missed
        return self._observer is not None and self._observer.is_working() and not is_missed

    @property
    def last_proof_s(self) -> float | None:
        """Monotonic time at which the probe's event last arrived; None: never, or no probe."""
        return self._probe.last_seen_s if self._probe else None

    @property
    def is_there(self) -> bool:
        """Whether the folder was there at the last check."""
        return self._identity is not None

    def keep_watching(self) -> bool:
        """Start again if a thread died or the folder was replaced; True: a rescan is needed.

        A folder that was deleted and made again, or mounted over, has another device or inode
        number and sends no events to the old watch.
        """
        if self._clock() < self._next_check_s:
            return False
        self._next_check_s = self._clock() + _CHECK_S
        identity = self._watch_folder.identity()
        if self.is_watching and identity == self._identity:
            if self._probe:
                self._probe.touch()
            return False
        was_watching = self._observer is not None
        is_useless = was_watching and self._probe is not None and self._probe.is_useless
        self.stop()
        self._identity = identity
        if is_useless:
            # No event ever arrived: a new watch would fail too, and each may leave threads behind.
            self._next_check_s = self._clock() + _AFTER_FAILURE_S
            return True
        if identity is None or not self._may_watch():
            return False
        if was_watching:
            log.warning("watching %s again", self._watch_folder.path)
        return self._start()

    def stop(self) -> None:
        """Stop watching."""
        if self._observer is not None:
            # In a thread: `observer.stop` needs a lock that a handler that hangs may hold.
            closing = threading.Thread(target=_close, args=(self._observer,), daemon=True)
            closing.start()
            closing.join(_CLOSE_S)
            self._observer = None

    def _may_watch(self) -> bool:
        # Checked at every start: a share may be mounted after the daemon has started.
        is_auto = self._poll == "auto"
        return self._poll == "never" or (is_auto and not is_on_share(self._watch_folder.path))

    def _start(self) -> bool:
        try:
            self._observer = self._open()
        except OSError as error:
            if not self._has_warned:
                log.warning(
                    "watch folder %s cannot be watched (%s) and is polled instead; see "
                    "/proc/sys/fs/inotify for the limits",
                    self._watch_folder.path,
                    error.strerror,
                )
            self._has_warned = True
            self._next_check_s = self._clock() + _AFTER_FAILURE_S
            return False
        self._has_warned = False
        if self._probe:
            self._probe.touch()
        return True

    def _open(self) -> _Observer:
        # inotify does not follow a watch folder that is a symbolic link.
        folder = Path(os.path.realpath(self._watch_folder.path))
        handler = HintHandler(self._watch_folder, folder, self._hints)
        observer = _Observer()
        try:
            # Without opened and closed-without-writing, which the daemon's own reads cause.
            events = list(HintHandler.KINDS)
            observer.schedule(handler, str(folder), recursive=True, event_filter=events)
            if self._probe:
                self._probe.join(observer)
            observer.start()
        except OSError:
            observer.stop()
            raise
        return observer


def _close(observer: _Observer) -> None:
    observer.stop()
    observer.join()


class LossHandler(logging.Handler):
    """Takes watchdog's warnings, the only sign of an overflow of inotify's queue, as lost hints.

    They are not logged: they hold the paths of images, and one may be 95 kB long.
    """

    def __init__(self, hints: Hints) -> None:
        super().__init__(logging.WARNING)
        self._hints = hints

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - any warning means a loss
        """Note that hints were lost."""
        self._hints.note_loss()


def listen_for_losses(hints: Hints) -> None:
    """Note lost hints in `hints` whenever the watchdog library logs a warning."""
    library = logging.getLogger("watchdog")
    library.handlers = [LossHandler(hints)]
    library.propagate = False
    # It also uses `warnings`, for folders that it watches already.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
