"""Which precision was the fastest on this machine's CPU, kept in the state folder.

To time them, every precision of the bundle is opened and run for a while, although one is served.
A start that finds the last result opens that one alone. It is as fast as it was; whatever the file
says, the graph is checked as always: its hash, and its labels of the golden images.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from edge.backends.cpu import has_vnni
from edge.backends.onnx import VERSION
from edge.bundle import Bundle
from edge.errors import StorageError
from edge.files.atomic import write_file
from edge.files.safe_open import TooLargeError, read_bounded
from edge.files.strict_json import parse_json
from edge.text.rfc3339 import moment_of, rfc3339

CHOICE_NAME: Final = "precision.json"
# Timed again after this: the machine may have been replaced by one like it, or virtualised anew.
VALID_FOR: Final = timedelta(days=30)
_MOST_BYTES: Final = 10_000


@dataclass(frozen=True, slots=True)
class CpuChoice:
    """The choice for one bundle on this machine, with so many threads inside one inference."""

    state_dir: Path
    bundle: Bundle
    threads: int

    def read(self) -> str | None:
        """The precision that was the fastest; None if that is not known, or long ago."""
        try:
            found = parse_json(read_bounded(self.state_dir / CHOICE_NAME, _MOST_BYTES))
            age = datetime.now(UTC) - moment_of(found["at"])
            precision = found["precision"]
        except (OSError, TooLargeError, ValueError, TypeError, KeyError):
            return None
        is_of_this = {**found, **self._of()} == found
        is_recent = timedelta() <= age < VALID_FOR
        return precision if is_of_this and is_recent and isinstance(precision, str) else None

    def write(self, precision: str) -> None:
        """Keep the precision that was the fastest just now."""
        found = {"precision": precision, "at": rfc3339(datetime.now(UTC)), **self._of()}
        # The next start measures again; the disk's errors are told where they matter.
        with suppress(StorageError):
            write_file(self.state_dir / CHOICE_NAME, json.dumps(found).encode())

    def _of(self) -> dict[str, Any]:
        """What the choice depends on."""
        return {
            "bundle_sha256": self.bundle.sha256,
            "has_vnni": has_vnni(),
            "onnxruntime": VERSION,
            "threads": self.threads,
        }
