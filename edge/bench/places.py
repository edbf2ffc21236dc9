"""Where a measurement is written, checked before it is made."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from edge.errors import ConfigError, StorageError


def require_places(output: Path, files: Mapping[str, Path | None]) -> None:
    """Refuse what could not be written after minutes of measuring.

    Args:
        output: folder for scratch files.
        files: what is written at the end, by option; None: it is not written.

    Raises:
        ConfigError: a folder is not there, or two files are one.
        StorageError: something cannot be written.
    """
    _require_writable("--output", output)
    written: dict[Path, str] = {}
    for option, path in files.items():
        if path is None:
            continue
        _require_writable(option, path.parent)
        # Also through a link, such as /dev/stdout, which would be replaced by a file.
        if path.exists() and not path.is_file():
            raise StorageError(f"{option}: {path} is not a regular file; give another path.")
        other = written.setdefault(path.parent.resolve() / path.name, option)
        if other != option:
            raise ConfigError(f"{other} and {option} name the same file, {path}; give two.")


def _require_writable(option: str, folder: Path) -> None:
    if not folder.is_dir():
        raise ConfigError(f"{option}: {folder} is no folder; make it first.")
    try:
        # Neither a user's rights nor a mount's flags tell: some file systems take no files at all.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise StorageError(
            f"{option}: {folder} takes no files ({error.strerror}); give another folder."
        ) from error
