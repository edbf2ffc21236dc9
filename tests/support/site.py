"""A small site: a bundle, an export folder, a configuration, and looks at what became of images."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import yaml

import edge
from daemon.config.config import Config, load_config
from daemon.startup import opened_service

SCHEMA = json.loads((Path(edge.__file__).parent / "schemas" / "edge-sidecar-1.json").read_text())
ROOT = Path(__file__).parent.parent.parent


@dataclass
class Site:
    """A laboratory in a temporary folder."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def export(self) -> Path:
        return self.folder / "export"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def config_path(self) -> Path:
        path = self.folder / "edge.yaml"
        path.write_text(yaml.safe_dump(self.settings))
        return path

    def config(self) -> Config:
        return load_config(self.config_path)

    def add(self, name: str, content: bytes, *, age_s: float = 60.0) -> Path:
        """Put a file into the export folder that was written `age_s` ago."""
        path = self.export / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Seen before its time is set it would be a version of its own.
        hidden = path.with_name(f".{threading.get_ident()}")
        hidden.write_bytes(content)
        moment = time.time() - age_s
        os.utime(hidden, (moment, moment))
        hidden.replace(path)
        return path

    def sidecar(self, name: str) -> dict[str, Any]:
        """The JSON sidecar of an image, which must keep to the published schema."""
        fields: dict[str, Any] = json.loads((self.results / f"{name}.json").read_text())
        jsonschema.validate(fields, SCHEMA)
        with (self.results / f"{name}.csv").open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert (row["status"], row["image_sha256"]) == (
            fields["status"],
            fields["image"]["sha256"] or "",
        )
        return fields

    def has_sidecar(self, name: str) -> bool:
        return (self.results / f"{name}.json").exists()

    def outcomes(self) -> dict[str, tuple[str, str | None, str | None, str | None]]:
        """State, status, label and reason of the newest version of each image.

        The reason of one that was put off is the cause of that.
        """
        journal = self.folder / "state" / "journal.sqlite3"
        if not journal.exists():
            return {}
        with closing(sqlite3.connect(journal)) as db:
            if not db.execute("PRAGMA user_version").fetchone()[0]:
                return {}  # it is being made just now
            rows = db.execute(
                "SELECT path, state, status, label, coalesce(cause, reason) FROM image "
                "WHERE is_current = 1"
            ).fetchall()
        return {os.fsdecode(row[0]): (row[1], row[2], row[3], row[4]) for row in rows}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "daemon.cli", *words, "--config", str(self.config_path)]

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """The service runs in a thread; its error, if any, is raised at the end."""
        errors: list[BaseException] = []
        with opened_service(self.config()) as service:

            def run() -> None:
                try:
                    service.run()
                except BaseException as error:  # noqa: BLE001 - raised again below
                    errors.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            try:
                yield
            finally:
                service.stop()
                thread.join(timeout=20)
                # Also after a failure in the block, which the service's end may have caused.
                if errors:
                    raise errors[0]


def make_site(folder: Path, bundle: Path) -> Site:
    """A site with empty export and results folders in this folder."""
    (folder / "export").mkdir()
    (folder / "results").mkdir()
    settings: dict[str, Any] = {
        "bundle": str(bundle),
        "watch": [{"folder": "export", "sample": "{sample_id}/{slide_id}/*"}],
        "results": {"folder": "results"},
        "settle_s": 0.1,
        "state_dir": "state",
        "retry": {"attempts": 3, "first_delay_s": 0.05, "max_delay_s": 0.2},
    }
    return Site(folder, settings)


def backend_of(site: Site, name: str) -> str:
    model: dict[str, str] = site.sidecar(name)["model"]
    return model["backend"]
