"""A command's new file: one that exists is replaced only if the user says so."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from edge.errors import ConfigError


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """The option that allows replacing."""
    text = "replace the file if it exists"
    parser.add_argument("--overwrite", action="store_true", help=text)


def require_free(target: Path, *, overwrite: bool) -> None:
    """Refuse a file that exists, before the work for it is done.

    Raises:
        ConfigError: it exists and `overwrite` is not set, or its folder does not.
    """
    if os.path.lexists(target) and not overwrite:
        raise ConfigError(f"{target} exists; give another file, or allow it with --overwrite.")
    if not target.absolute().parent.is_dir():
        raise ConfigError(f"{target.absolute().parent} is no folder; make it, or give another.")
