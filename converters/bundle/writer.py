"""Writes a bundle's files into a staging folder: first the artefacts, then manifest and seal."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.bundle import seal
from edge.files import atomic
from edge.manifest import MANIFEST_NAME, SEAL_NAME


@dataclass(slots=True)
class BundleWriter:
    """A staging folder of `atomic.new_directory`, and the manifest entries of its files."""

    folder: Path
    artefacts: list[dict[str, Any]] = field(default_factory=list)

    def add(self, path: str, content: bytes, role: str, **facts: Any) -> None:
        """Write one artefact and add it to the manifest's list."""
        digest = hashlib.sha256(content).hexdigest()
        entry = {"path": path, "role": role, "sha256": digest, "bytes": len(content), **facts}
        self.copy(entry, content)

    def copy(self, entry: dict[str, Any], content: bytes) -> None:
        """Write one artefact whose manifest entry exists already."""
        target = self.folder / entry["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_file(target, content)
        self.artefacts.append(entry)

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write manifest and seal."""
        content = to_json(manifest)
        atomic.write_files(
            [(self.folder / MANIFEST_NAME, content), (self.folder / SEAL_NAME, seal(content))]
        )


def to_json(values: Any) -> bytes:
    """JSON in the form that is used for all files of a bundle."""
    return (json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
