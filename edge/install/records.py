"""The records of installations: the files that each wrote, with their SHA-256."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Final

ETC: Final = Path("/etc/microscope-edge")
SUFFIX: Final = ".installed"
# The name of a configuration of `edge-results`, before the instance; no daemon may have such a one.
RESULTS: Final = "results-"


def text_of(path: Path) -> str | None:
    """The content of a file, with escapes for what is not UTF-8; None if there is none."""
    try:
        return path.read_text("utf-8", "backslashreplace")
    except FileNotFoundError:
        return None


def digest(content: str) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def record_text(hashes: dict[str, str]) -> str:
    """The text of a record, from paths and SHA-256."""
    return json.dumps({"files": dict(sorted(hashes.items()))}, indent=1, ensure_ascii=False) + "\n"


def read_record(path: Path) -> dict[str, str]:
    """The files of a record, with their SHA-256; empty without a valid record."""
    with suppress(ValueError, AttributeError):
        files = json.loads(text_of(path) or "{}").get("files", {})
        return {str(file): str(digest) for file, digest in files.items()}
    return {}


def other_records(root: Path, own: Path) -> dict[Path, dict[str, str]]:
    """The records of all other installations of a system, which may share files with this one.

    Args:
        root: the system's root folder.
        own: the record that is not wanted, as the system knows it.

    Returns:
        Records by path, as the system knows them.
    """
    folder = root / ETC.relative_to("/")
    paths = (ETC / path.name for path in sorted(folder.glob(f"*{SUFFIX}")))
    found = {path: read_record(folder / path.name) for path in paths if path != own}
    return {path: files for path, files in found.items() if files}
