"""Makes Python treat file names as UTF-8 in any locale, as configuration and sidecars do."""

from __future__ import annotations

import os
import sys


def use_utf8() -> None:
    """Restart this program in Python's UTF-8 mode if the locale has another encoding.

    In a Latin-1 locale Python would encode the folder `Prüfung` of a UTF-8 configuration with the
    byte 0xFC, a name that does not exist on the disk. Returns if the encoding is UTF-8 already. The
    process keeps its id, and the bytes of its arguments.
    """
    if sys.getfilesystemencoding() == "utf-8":
        return
    # sys.orig_argv also has the interpreter's options, such as -P.
    words = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
    # The variable switches child processes to UTF-8 mode too.
    environment = {**os.environ, "PYTHONUTF8": "1"}
    os.execve(sys.executable, words, environment)  # noqa: S606 - this program itself
