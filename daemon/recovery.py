"""At the start: what the last process, or the last service of this process, left unfinished."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from daemon.image.records import PastImage
from daemon.image.watch_folder import WatchFolder
from daemon.journal.journal import Journal
from daemon.system.bounded_call import ANSWER_S, call_each
from edge.errors import RejectReason
from edge.failpoints import failpoint
from edge.files.temporary import remove_leftovers


def recover_claims(
    journal: Journal, watch_folders: dict[int, WatchFolder], *, is_interruption: bool
) -> None:
    """Remove temporary files of claimed images, then set the claimed images to waiting.

    Only a claimed image can have left a temporary file beside its sidecars. The claims are removed
    last: if this process is killed first, the next one still knows where to look.
    """
    folders: dict[int, set[Path]] = {}
    for id_, path in journal.claims():
        if id_ in watch_folders:
            folders.setdefault(id_, set()).add(watch_folders[id_].target(path).parent)
    is_over = threading.Event()
    calls = {id_: partial(_tidy_folders, below, is_over) for id_, below in folders.items()}
    call_each(calls, ANSWER_S, "leftovers")
    is_over.set()
    failpoint("startup.leftovers_removed")
    journal.take_back_claims(is_interruption=is_interruption)
    failpoint("startup.claims_taken_back")


def _tidy_folders(folders: Iterable[Path], is_over: threading.Event) -> None:
    for folder in folders:
        # Leftovers are hidden files and do no harm, so those on a dead share may stay.
        with suppress(OSError):
            for place in _present_folders(folder):
                # On a share that answers late, these may be files being written by then.
                if is_over.is_set():
                    return
                remove_leftovers(place, older_than_s=0.0)


def _present_folders(folder: Path) -> Iterator[Path]:
    """The folder; if it is gone, all its siblings, as it may have been renamed."""
    if folder.is_dir():
        yield folder
    elif folder.parent.is_dir():
        yield from (path for path in folder.parent.iterdir() if path.is_dir())


def requeue_unreadable(
    journal: Journal, watch_folders: dict[int, WatchFolder], *, is_once: bool
) -> None:
    """Set images that `once` rejected as unreadable back to waiting.

    A change of permission changes neither size nor mtime, so no scan finds them again. The service
    waits for all of them; `once` takes those that can be read now.
    """

    def is_wanted(image: PastImage) -> bool:
        path = watch_folders[image.folder_id].image(image.path)
        return not is_once or os.access(path, os.R_OK, effective_ids=True)

    for page in journal.rejections(str(RejectReason.UNREADABLE)):
        journal.put_back([image for image in page if is_wanted(image)])
