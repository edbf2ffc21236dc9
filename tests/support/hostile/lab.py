"""A laboratory for hostile images, and strict looks at its sidecars and its journal."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema

from edge.sidecar import sidecar_path
from tests.support.site import SCHEMA, Site
from tests.support.waiting import until


def put(folder: Path, name: bytes, content: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - 60, time.time() - 60))


def sidecars(site: Site, name: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """JSON and CSV of an image; both must be what a LIS can read."""
    target = Path(os.fsdecode(os.fsencode(site.results) + b"/" + name))
    fields = json.loads(sidecar_path(target, "json").read_bytes().decode("utf-8"))
    jsonschema.validate(fields, SCHEMA)
    text = sidecar_path(target, "csv").read_bytes().decode("utf-8")
    assert len(text.splitlines()) == 2
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    cells = [cell for column, cell in row.items() if column not in ("sample_id", "slide_id")]
    assert not any(cell.lstrip().startswith(("=", "+", "@")) for cell in cells)
    assert not any(cell.startswith("-") for cell in cells)
    assert (row["status"], row["image_sha256"]) == (
        fields["status"],
        fields["image"]["sha256"] or "",
    )
    return fields, row


def versions(site: Site, name: str) -> list[tuple[str, str, str, str]]:
    """State, status, label and SHA-256 of each version of an image, the oldest first."""
    with closing(sqlite3.connect(site.folder / "state" / "journal.sqlite3")) as db:
        return db.execute(
            "SELECT state, status, label, sha256 FROM image WHERE path = ? ORDER BY id",
            (os.fsencode(name),),
        ).fetchall()


def finish(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=60)
    return process.returncode


def wait_for_sidecars(site: Site, count: int, process: subprocess.Popen[str]) -> float:
    """Wait until all images are done; ends `run`. Gives the process's peak memory in MB."""
    peak_mb = 0.0

    def is_done() -> bool:
        nonlocal peak_mb
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        peaks = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
        peak_mb = max(peak_mb, *peaks, 0.0)
        return process.poll() is not None or (
            len(list(site.results.rglob("*.json"))) == count
            and all(row[0] == "done" for row in site.outcomes().values())
        )

    until(is_done, timeout_s=60)
    if "run" in str(process.args).split("'"):
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    return peak_mb
