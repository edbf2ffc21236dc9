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
from pathlib import Path
from typing import Final

from edge.atomic import write_file
from edge.errors import StorageError
from edge.failpoints import failpoint

log = logging.getLogger(__name__)

LEVELS: Final = ("debug", "info", "warning", "error")
KEY_NAME: Final = "log.key"
_KEY_BYTES: Final = 32
_PSEUDONYM_DIGITS: Final = 12

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


class _JournaldFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # One line each: a newline in a message would start a line without priority.
        text = super().format(record).replace("\n", " | ")
        return f"<{_PRIORITY.get(record.levelno, 6)}>{text}"


def start_logging(level: str) -> None:
    """Log to stderr, in journald's form where journald reads it."""
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournaldFormatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("daemon")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level.upper())
    threading.excepthook = _say_thread_ended


def _say_thread_ended(ended: threading.ExceptHookArgs) -> None:
    # The default prints a traceback whose last line may hold an image's path. The thread is one
    # of watchdog's, and is replaced.
    name = ended.thread.name if ended.thread else "unknown"
    log.warning("thread %s ended with %s", name, ended.exc_type.__name__)


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
