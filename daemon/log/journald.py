"""Log lines for journald, in which an image appears only under a pseudonym.

A sample id in a path is patient data. The pseudonym is an HMAC with a key that stays in the
state folder: the same image has the same pseudonym in every line, and `edge-daemon status`
shows it beside the path to whoever may read the journal.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from daemon.log.queue import QueuedHandler
from edge.errors import StorageError
from edge.failpoints import failpoint
from edge.files.atomic import write_file
from edge.text.printable import printable

log = logging.getLogger(__name__)

LEVELS: Final = ("debug", "info", "warning", "error")
KEY_NAME: Final = "log.key"
_KEY_BYTES: Final = 32
_PSEUDONYM_DIGITS: Final = 12
_STDERR: Final = 2

# journald reads a line's priority from this prefix, see sd-daemon(3).
_PRIORITY: Final = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


class Pseudonyms:
    """Names for images that only this installation can connect with a path."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, folder: Path, path: bytes) -> str:
        """The pseudonym of the image at `path` below the watch folder `folder`."""
        message = os.fsencode(folder) + b"/" + path
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:_PSEUDONYM_DIGITS]


class _LineFormatter(logging.Formatter):
    """Every record is one line, in which names that strangers gave move no cursor."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record).replace("\n", " | "))


class _JournaldFormatter(_LineFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"<{_PRIORITY.get(record.levelno, 6)}>{super().format(record)}"


@contextmanager
def logging_to_stderr(level: str) -> Iterator[QueuedHandler]:
    """Log to stderr during the block, in journald's form where journald reads it.

    What Python itself or a library has to say goes the same way. What native code writes does not:
    where nobody reads stderr, it waits there.
    """
    handler = QueuedHandler(_STDERR)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournaldFormatter("%(message)s"))
    else:
        handler.setFormatter(_LineFormatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("daemon")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level.upper())
    # Without a handler a library's warnings would be written to stderr by whoever warns.
    logging.getLogger().handlers = [handler]
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_thread_ended
    sys.unraisablehook = _log_unraisable
    try:
        yield handler
    finally:
        # It stays where it is: threads that hang may log until the process has ended.
        handler.finish()


def log_problem() -> str:
    """Why lines do not reach the log now; empty where they do."""
    return "; ".join(handler.problem for handler in _queued() if handler.problem)


def lines_dropped() -> Mapping[str, int]:
    """How many lines of this process's log were dropped, by level."""
    return {level: n for handler in _queued() for level, n in handler.dropped.items()}


def flush_log() -> None:
    """Wait until what was logged is written, for a moment at the most."""
    for handler in _queued():
        handler.flush()


def _queued() -> list[QueuedHandler]:
    handlers = logging.getLogger("daemon").handlers
    return [handler for handler in handlers if isinstance(handler, QueuedHandler)]


def _log_thread_ended(ended: threading.ExceptHookArgs) -> None:
    # The default prints a traceback whose last line may hold an image's path. The thread is one
    # of watchdog's, and is replaced.
    name = ended.thread.name if ended.thread else "unknown"
    log.warning("thread %s ended with %s", name, ended.exc_type.__name__)


def _log_unraisable(raised: sys.UnraisableHookArgs) -> None:
    # As above: the default prints the object that was being finalized, and the error's text.
    log.warning("an error in the background was passed over: %s", raised.exc_type.__name__)


def open_pseudonyms(state_dir: Path) -> Pseudonyms:
    """Read the key of this installation, making it at the first start.

    Raises:
        StorageError: it can be neither read nor written.
    """
    path = state_dir / KEY_NAME
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = _make_key(path)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read ({error.strerror}). Run as the user who owns the state folder."
        ) from error
    return Pseudonyms(key)


def _make_key(path: Path) -> bytes:
    key = secrets.token_bytes(_KEY_BYTES)
    # The umask holds for the whole process; no other thread runs yet at start.
    umask = os.umask(0o077)
    try:
        write_file(path, key)
    finally:
        os.umask(umask)
    failpoint("startup.log_key_written")
    return key
