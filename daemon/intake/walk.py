"""The files below a watch folder: which are images, and which are left out and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from daemon.image.passed_over import Reason
from daemon.image.records import ImageVersion
from daemon.image.watch_folder import WatchFolder, is_sidecar_name
from daemon.intake.seen_files import SeenFiles
from edge.files.temporary import remove_if_stale
from edge.text.unicode_form import comparable

# A look at one file on a slow share takes about a millisecond.
_FILES_PER_NOTE: Final = 100

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


def changed_files(
    watch_folder: WatchFolder,
    folder: bytes,
    subfolders: list[bytes],
    on_error: OnError,
    seen: SeenFiles,
    on_progress: Callable[[], None],
) -> Iterator[ImageVersion]:
    """As `list_folder`, but only the images that the last scan did not see as they are.

    Args:
        on_progress: called after some files each, as many may be passed over in silence.
    """
    prefix = folder + b"/" if folder else b""
    # A poll spends its time in this loop, so it makes no calls for a file that is as before.
    before, now, left_out = seen.before, seen.now, seen.left_out
    with os.scandir(os.fsencode(watch_folder.path) + b"/" + folder) as entries:
        for number, entry in enumerate(entries):
            if not number % _FILES_PER_NOTE:
                on_progress()
            path = prefix + entry.name
            if hash(path) in left_out:
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    if not watch_folder.passes_over(comparable(entry.name)):
                        subfolders.append(path)
                    continue
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                on_error(folder, error)
                continue
            mark = hash((path, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
            if mark in before:
                now.add(mark)
                continue
            name = comparable(entry.name)
            if watch_folder.is_image_name(name) and not watch_folder.passes_over(name):
                version = watch_folder.version(path, status)
                seen.note(version)
                yield version
            else:
                seen.leave_out(path)


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
