"""A site with a daemon in a process of its own, and the check of every image's fate."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.images import COLOURS, colour_jpeg
from tests.support.small_bundle import write_small_bundle
from tests.support.waiting import until

ROOT = Path(__file__).parent.parent.parent
NAMES = tuple(COLOURS)


@dataclass
class Lab:
    """Images that were put somewhere, and what must have become of them."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    export: Path = Path()
    results: Path = Path()
    digests: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.export, self.results = self.folder / "export", self.folder / "results"
        for folder in (self.export, self.results):
            folder.mkdir(parents=True, exist_ok=True)
        bundle = write_small_bundle(self.folder / "colours.edge", colour_jpeg)
        self.settings = {
            "bundle": str(bundle),
            "backend": "onnxruntime",
            "watch": [{"folder": "export"}],
            "results": {"folder": "results"},
            "settle_s": 0.2,
            "rescan_s": 3600,
            "state_dir": "state",
            "retry": {"attempts": 5, "first_delay_s": 0.1, "max_delay_s": 1.0},
            **self.settings,
        }

    @property
    def log(self) -> str:
        return (self.folder / "daemon.log").read_text()

    def content(self, name: str) -> bytes:
        """The bytes of an image that gets its label from its name alone."""
        return CONTENTS[self.label(name)]

    def label(self, name: str) -> str:
        return NAMES[sum(name.encode()) % len(NAMES)]

    def note(self, name: str) -> bytes:
        """Content for a new image of this name, which must be labelled from now on."""
        content = self.content(name)
        self.digests[name] = hashlib.sha256(content).hexdigest()
        return content

    def add(self, *names: str, folder: Path | None = None) -> None:
        """Write images as most programs do."""
        for name in names:
            path = (folder or self.export) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.note(name))

    @contextmanager
    def daemon(
        self, *prefix: str, environment: dict[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A daemon that runs; it must be the same process until the end."""
        (self.folder / "edge.yaml").write_text(json.dumps(self.settings))
        words = ["-m", "daemon.cli", "run", "--config", str(self.folder / "edge.yaml")]
        with (self.folder / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                [*prefix, sys.executable, *words],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdout=log,
                stderr=log,
            )
        try:
            until(lambda: self._has_started(process), timeout_s=30)
            yield process
            assert process.poll() is None, self.log
        finally:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def _has_started(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() in (None, 77), self.log
        journal = self.folder / "state" / "journal.sqlite3"
        return process.poll() == 77 or (journal.exists() and bool(self._rows("SELECT 1 FROM root")))

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        try:
            with closing(sqlite3.connect(self.folder / "state" / "journal.sqlite3")) as db:
                return db.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []  # it is being made just now

    def done(self) -> Counter[str]:
        """How often each image has an outcome in the journal."""
        rows = self._rows("SELECT path FROM image WHERE state = 'done'")
        return Counter(os.fsdecode(row[0]) for row in rows)

    def await_done(self, *, timeout_s: float = 30.0) -> None:
        """Wait until every image has an outcome."""
        until(lambda: self.digests.keys() <= self.done().keys(), timeout_s=timeout_s)

    def await_outcomes(self, name: str, count: int, *, timeout_s: float = 30.0) -> None:
        """Wait until an image has so many outcomes, one for each of its versions."""
        until(lambda: self.done()[name] == count, timeout_s=timeout_s)

    def check(self, *, gone: tuple[str, ...] = ()) -> None:
        """Every image has its one outcome, in the journal and on the disk, and is unchanged.

        Args:
            gone: images that were removed after they had their outcome.
        """
        assert self.done() == dict.fromkeys(self.digests, 1)
        self.check_files(gone=gone)
        sidecars = {str(p.relative_to(self.results)) for p in self.results.rglob("*.json")}
        assert sidecars == {f"{name}.json" for name in self.digests}

    def check_files(self, *, gone: tuple[str, ...] = ()) -> None:
        """Every image has its whole sidecars and is unchanged."""
        for name, digest in self.digests.items():
            results, image = self.results / name, self.export / name
            fields = json.loads(results.with_name(f"{results.name}.json").read_bytes())
            found = (fields["status"], fields["label"], fields["image"]["sha256"])
            assert found == ("labelled", self.label(name), digest), name
            rows = results.with_name(f"{results.name}.csv").read_text().splitlines()
            assert len(rows) == 2, name
            if name not in gone:
                assert hashlib.sha256(image.read_bytes()).hexdigest() == digest, name


CONTENTS = {
    name: colour_jpeg(name, side_px=32, seed=random.Random(name).randrange(99))  # noqa: S311
    for name in NAMES
}
