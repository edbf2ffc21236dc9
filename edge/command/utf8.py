"""Names of files are bytes; configuration and sidecars are UTF-8, whatever the locale says."""

from __future__ import annotations

import os
import sys


def use_utf8() -> None:
    """Start this program anew in Python's UTF-8 mode where the locale has another encoding.

    With a Latin-1 locale Python would look for the folder `Prüfung` of a UTF-8 configuration under
    the byte 0xFC, and no file system that analyzers and servers write to has such names. Returns
    where nothing is to be done. The process keeps its number and its arguments' bytes.
    """
    if sys.getfilesystemencoding() == "utf-8":
        return
    # sys.orig_argv holds options of the interpreter too, such as -P.
    words = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
    # Programs that this one starts hear of it by the variable.
    environment = {**os.environ, "PYTHONUTF8": "1"}
    os.execve(sys.executable, words, environment)  # noqa: S606 - this program itself
