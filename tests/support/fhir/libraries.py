"""Judges that others wrote: fhir.resources (R4B), and Medplum's and `fhir`'s validators (R4)."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from fhir.resources.R4B.bundle import Bundle
from pydantic import ValidationError

from tests.support.npm import npm_folder

Json = dict[str, Any]
NODE: Final = Path(__file__).parent / "node"


def resources_refusals(bundle: Json) -> list[str]:
    """Why fhir.resources refuses it; empty if it takes it."""
    try:
        Bundle.model_validate(bundle)
    except ValidationError as error:
        return [f"{one['loc']}: {one['msg']}" for one in error.errors()]
    return []


def node_refusals(bundles: Iterable[Json]) -> Sequence[dict[str, list[str]]]:
    """Why `fhir` and `medplum` refuse each Bundle. One process judges all."""
    folder = npm_folder(NODE)
    # Not all in memory: a full run has thousands.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as lines:
        for bundle in bundles:
            lines.write(f"{json.dumps(bundle)}\n")
        lines.seek(0)
        command = ["node", "judge.js"]
        done = subprocess.run(
            command, cwd=folder, stdin=lines, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]
