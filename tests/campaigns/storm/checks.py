"""What a LIS sees while the daemon is killed, and what must be on the disk at the end."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import edge
from daemon.system.folder_locks import LOCK_NAME
from edge.files.temporary import TEMPORARY_PREFIX
from edge.sidecar import csv_columns
from tests.campaigns.storm.export import UNFINISHED, Export, Fate
from tests.support.images import COLOURS

SCHEMA = json.loads((Path(edge.__file__).parent / "schemas" / "edge-sidecar-1.json").read_text())
COLUMNS = csv_columns(tuple(COLOURS))
# Folders that an observer looks through again and again while they are written to.
RECENT = 3
PAUSE_S = 0.01


class Observer:
    """Reads sidecars as a LIS does, in a thread of its own, while the daemon lives and dies."""

    def __init__(self, export: Export, results: Path, chance: random.Random) -> None:
        self.problems: list[str] = []
        self.reads = 0
        self._export = export
        self._results = results
        self._chance = chance
        self._seen: dict[str, tuple[int, int]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._observe)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _observe(self) -> None:
        while not self._stopping.wait(PAUSE_S):
            touched = self._export.touched
            if touched:
                recent = dict.fromkeys([*touched[-RECENT:], self._chance.choice(touched)])
                for folder in recent:
                    self._look(self._results / folder)

    def _look(self, folder: Path) -> None:
        try:
            with os.scandir(folder) as entries:
                found = [entry for entry in entries if entry.name.endswith((".json", ".csv"))]
                for entry in found:
                    status = entry.stat()
                    stamp = (status.st_ino, status.st_mtime_ns)
                    if self._seen.get(entry.path) != stamp:
                        self._seen[entry.path] = stamp
                        self._read(Path(entry.path))
        except FileNotFoundError:
            return  # no result was written there yet
        except Exception as error:  # noqa: BLE001 - an observer that ends would see nothing
            self.problems.append(f"the observer failed: {error!r}")

    def _read(self, path: Path) -> None:
        self.reads += 1
        name = f"{path.parent.name}/{path.stem}"
        fates = dict(self._export.fates[name])
        if path.suffix == ".csv":
            problem = csv_problem(path.read_bytes(), fates)
        else:
            problem = json_problem(path.read_bytes(), fates, path.stem)
            # The JSON comes last, so that whoever sees it finds the CSV.
            twin = path.with_suffix(".csv")
            problem = problem or (None if twin.exists() else "its CSV is not there")
        if problem:
            self.problems.append(f"visible {path.suffix} of {name}: {problem}")


def json_problem(content: bytes, fates: Mapping[str, Fate], file: str) -> str | None:
    """What is wrong with a visible JSON sidecar of an image with these versions."""
    try:
        fields = json.loads(content)
    except ValueError:
        return f"torn, {len(content)} bytes"
    missing = [key for key in SCHEMA["required"] if key not in fields]
    if missing:
        return f"lacks {missing}"
    image = fields["image"]
    if image["file"] != file:
        return f"is of {image['file']}"
    found = (fields["status"], fields["label"], fields["reason"])
    return _outcome_problem(image["sha256"], image["bytes"], found, fates)


def csv_problem(content: bytes, fates: Mapping[str, Fate]) -> str | None:
    """What is wrong with a visible CSV sidecar of an image with these versions."""
    text = content.decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if len(rows) != 2 or not text.endswith("\r\n"):
        return f"{len(rows)} rows, {len(content)} bytes"
    if rows[0] != COLUMNS or len(rows[1]) != len(COLUMNS):
        return f"columns are {len(rows[0])} and {len(rows[1])}"
    row = dict(zip(COLUMNS, rows[1], strict=True))
    found = (row["status"], row["label"] or None, row["reason"] or None)
    return _outcome_problem(row["image_sha256"], int(row["image_bytes"]), found, fates)


def _outcome_problem(
    sha256: str | None, size_bytes: int, found: tuple[Any, ...], fates: Mapping[str, Fate]
) -> str | None:
    fate = fates.get(sha256 or "")
    if fate is None:
        # Half of an image may be rejected while nobody writes on; it never has a label.
        is_fair = found[0] == "rejected" and found[1] is None and found[2] in UNFINISHED
        return None if is_fair else f"{found} of bytes that the image never had whole"
    if (*found, size_bytes) != (fate.status, fate.label, fate.reason, fate.size_bytes):
        return f"{found}, {size_bytes} bytes where {fate} is right"
    return None


def final_problems(export: Export, results: Path, journal: Path) -> list[str]:
    """What is wrong when all is labelled; empty when nothing is."""
    problems = [f"{name} has other bytes than were written" for name in export.changed()]
    problems += _file_problems(export, results)
    for name, fates in export.fates.items():
        problems += _sidecar_problems(results / name, fates, name)
    left = journal.parent.rglob(f"{TEMPORARY_PREFIX}*")
    problems += [f"{path} is left in the state folder" for path in left]
    with closing(sqlite3.connect(journal)) as db:
        problems += _journal_problems(db, export)
    return problems


def _file_problems(export: Export, results: Path) -> list[str]:
    found = {
        f"{Path(folder).relative_to(results)}/{name}"
        for folder, _, names in os.walk(results)
        for name in names
        if name != LOCK_NAME
    }
    expected = {f"{name}.{suffix}" for name in export.fates for suffix in ("json", "csv")}
    left = [name for name in found if TEMPORARY_PREFIX in name]
    return [
        *(f"temporary file {name} is left" for name in left),
        *(f"unexpected file {name}" for name in found - expected - set(left)),
        *(f"no file {name}" for name in expected - found),
    ]


def _sidecar_problems(target: Path, fates: dict[str, Fate], name: str) -> list[str]:
    sha256 = next(reversed(fates))
    fate = fates[sha256]
    last = {sha256: fate}
    try:
        content = {s: target.with_name(f"{target.name}.{s}").read_bytes() for s in ("json", "csv")}
    except FileNotFoundError:
        return []  # said by _file_problems
    problems = [json_problem(content["json"], last, target.name), csv_problem(content["csv"], last)]
    if sha256.encode() not in content["json"] or sha256.encode() not in content["csv"]:
        problems.append("is of an earlier version")
    return [f"sidecars of {name}: {problem}" for problem in problems if problem]


def _journal_problems(db: sqlite3.Connection, export: Export) -> list[str]:
    problems = [text for (text,) in db.execute("PRAGMA integrity_check") if text != "ok"]
    twice = """SELECT path, count(*) FROM image WHERE state = 'done'
        GROUP BY root, path, size_bytes, mtime_ns HAVING count(*) > 1"""
    problems += [f"{os.fsdecode(p)} has {n} outcomes of one version" for p, n in db.execute(twice)]
    problems += [
        f"{os.fsdecode(path)} is still {state}"
        for path, state in db.execute("SELECT path, state FROM image")
        if state not in ("done", "superseded", "gone")
    ]
    current = "SELECT path, state, status, label, reason, sha256 FROM image WHERE is_current = 1"
    outcomes = {os.fsdecode(row[0]): tuple(row[1:]) for row in db.execute(current)}
    for name, fates in export.fates.items():
        sha256 = next(reversed(fates))
        fate = fates[sha256]
        right = ("done", fate.status, fate.label, fate.reason, sha256)
        if outcomes.get(name) != right:
            problems.append(f"journal of {name}: {outcomes.get(name)} where {right} is right")
    earlier = "SELECT path, status, label, reason, sha256, size_bytes FROM image WHERE state='done'"
    for path, status, label, reason, sha256, size_bytes in db.execute(earlier):
        found = (status, label, reason)
        name = os.fsdecode(path)
        problem = _outcome_problem(sha256, size_bytes, found, export.fates.get(name, {}))
        if problem:
            problems.append(f"journal of {name}: {problem}")
    return problems
