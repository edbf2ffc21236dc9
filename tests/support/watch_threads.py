"""The threads by which the watchdog library watches folders in this process."""

from __future__ import annotations

import threading
from typing import Final, TypeAlias

from watchdog.observers.inotify import InotifyEmitter, InotifyObserver
from watchdog.observers.inotify_c import InotifyFD

WatchThread: TypeAlias = InotifyFD | InotifyEmitter | InotifyObserver
# What reads from the kernel, what makes events of that, and what hands them to the daemon.
KINDS: Final[tuple[type[WatchThread], ...]] = (InotifyFD, InotifyEmitter, InotifyObserver)


def watch_threads(kind: type[WatchThread]) -> list[WatchThread]:
    """The living threads of a kind."""
    return [thread for thread in threading.enumerate() if isinstance(thread, kind)]
