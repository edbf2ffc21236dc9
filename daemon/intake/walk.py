"""The files below a watch folder: which are images, and which are left out and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TypeAlias

from daemon.image.passed_over import Reason
from daemon.image.records import ImageVersion
from daemon.image.watch_folder import WatchFolder, is_sidecar_name
from edge.files.temporary import remove_if_stale
from edge.text.unicode_form import comparable

OnError: TypeAlias = Callable[[bytes, OSError], None]
# Gets the reason and the name of each file and folder that is left out.
OnPassedOver: TypeAlias = Callable[[Reason, bytes], None]


def _ignore(_reason: Reason, _name: bytes) -> None:
    pass


def image_files(
    watch_folder: WatchFolder,
    on_error: OnError,
    start: bytes = b"",
    on_folder: Callable[[bytes], None] = lambda _folder: None,
    on_passed_over: OnPassedOver = _ignore,
) -> Iterator[ImageVersion]:
    """Yield every image below a watch folder, in bounded memory.

    Args:
        watch_folder: the watch folder.
        on_error: called with each folder that could not be read.
        start: the folder to begin with, relative to the watch folder.
        on_folder: called with each folder before it is listed; may raise OSError.
        on_passed_over: called with each file or folder that is left out.
    """
    pending = [start]
    while pending:
        folder = pending.pop()
        try:
            on_folder(folder)
            yield from list_folder(
                watch_folder, folder, pending, on_error, on_passed_over=on_passed_over
            )
        except OSError as error:
            on_error(folder, error)


def list_folder(
    watch_folder: WatchFolder,
    folder: bytes,
    subfolders: list[bytes],
    on_error: OnError,
    *,
    since_ns: int = 0,
    on_passed_over: OnPassedOver = _ignore,
) -> Iterator[ImageVersion]:
    """Yield the images of one folder whose ctime is `since_ns` or later; adds its subfolders."""
    with os.scandir(os.fsencode(watch_folder.path) + b"/" + folder) as entries:
        for entry in entries:
            name = comparable(entry.name)
            if reason := watch_folder.passes_over(name):
                _pass_over(watch_folder, folder, entry.name, reason, on_passed_over)
                continue
            path = folder + b"/" + entry.name if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                subfolders.append(path)
            elif watch_folder.is_image_name(name):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    on_error(folder, error)
                    continue
                if status.st_ctime_ns >= since_ns:
                    yield watch_folder.version(path, status)
            else:
                reason = _reason_of_no_image(entry, name)
                _pass_over(watch_folder, folder, entry.name, reason, on_passed_over)


def _pass_over(
    watch_folder: WatchFolder,
    folder: bytes,
    name: bytes,
    reason: Reason,
    on_passed_over: OnPassedOver,
) -> None:
    # A temporary file that a killed process left in a folder that was renamed since.
    remove_if_stale(watch_folder.image(folder), os.fsdecode(name))
    on_passed_over(reason, name)


def _reason_of_no_image(entry: os.DirEntry[bytes], name: str) -> Reason:
    if entry.is_symlink():
        return Reason.LINK
    return Reason.SIDECAR if is_sidecar_name(name) else Reason.OTHER_NAME
