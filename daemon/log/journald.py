"""Log lines for journald, in which an image appears only under a pseudonym.

A sample id in a path is patient data. The pseudonym is an HMAC with a key in the state folder. An
image has the same pseudonym in every line, and `edge-daemon status` shows it beside the path to
people who may read the state folder.
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
    """Pseudonyms of images, which only this installation can connect with paths."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, folder: Path, path: bytes) -> str:
        """The pseudonym of the image at `path` below the watch folder `folder`."""
        message = os.fsencode(folder) + b"/" + path
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:_PSEUDONYM_DIGITS]


class _LineFormatter(logging.Formatter):
    """Formats a record as one line, without control characters from file names."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record).replace("\n", " | "))


class _JournaldFormatter(_LineFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"<{_PRIORITY.get(record.levelno, 6)}>{super().format(record)}"


@contextmanager
def logging_to_stderr(level: str) -> Iterator[QueuedHandler]:
    """Log to stderr during the block, with journald's priorities if journald reads it.

    Includes warnings of Python and of libraries. Native code still writes to stderr directly, and
    waits if nobody reads it.
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
    # Without a handler a library's warnings would be written to stderr directly.
    logging.getLogger().handlers = [handler]
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_thread_ended
    sys.unraisablehook = _log_unraisable
    try:
        yield handler
    finally:
        # The handler stays installed, as threads that hang may log until the process ends.
        handler.finish()


def log_problem() -> str:
    """Why log lines cannot be written now; empty if they can."""
    return "; ".join(handler.problem for handler in _queued() if handler.problem)


def lines_dropped() -> Mapping[str, int]:
    """How many lines of this process's log were dropped, by level."""
    return {level: n for handler in _queued() for level, n in handler.dropped.items()}


def flush_log() -> None:
    """Wait until the queued lines are written, for two seconds at most."""
    for handler in _queued():
        handler.flush()


def _queued() -> list[QueuedHandler]:
    handlers = logging.getLogger("daemon").handlers
    return [handler for handler in handlers if isinstance(handler, QueuedHandler)]


def _log_thread_ended(ended: threading.ExceptHookArgs) -> None:
    # The default prints a traceback whose last line may hold an image's path. Threads of this
    # package log their own errors; this is one of watchdog's, and is replaced.
    name = ended.thread.name if ended.thread else "unknown"
    log.warning("thread %s ended with %s", name, ended.exc_type.__name__)


def _log_unraisable(raised: sys.UnraisableHookArgs) -> None:
    # The default prints the object that was being finalized, and the error's text.
    log.warning("a finalizer or callback failed: %s", raised.exc_type.__name__)


def open_pseudonyms(state_dir: Path) -> Pseudonyms:
    """Read the key of this installation, or make it at the first start.

    Raises:
        StorageError: it cannot be read or written.
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
    # The umask is the whole process's; at the start no other thread writes files.
    umask = os.umask(0o077)
    try:
        write_file(path, key)
    finally:
        os.umask(umask)
    failpoint("startup.log_key_written")
    return key
