"""A laboratory whose results a process of `edge-results send --watch` sends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.sidecar_tree import export
from tests.support.waiting import until


class WatchedSite:
    """A laboratory's folders, and a process that watches them; the LIS gets preliminary results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.export, self.results = folder / "export", folder / "results"
        self.drop, self.state = folder / "lis", folder / "state"
        for made in (self.export, self.results, self.drop):
            made.mkdir(parents=True)
        self.settings: dict[str, Any] = {
            "state_dir": "state",
            "sidecars": {"folder": "results", "images": "export"},
            "slides": {"quiet_s": 0},
            "poll_s": 0.1,
            "targets": [
                {
                    "name": "all",
                    "format": "json",
                    "drop": "lis",
                    "states": ["preliminary"],
                    "retry": {"first_delay_s": 0.1, "max_delay_s": 0.1},
                }
            ],
        }

    def slide(self, sample: str, cells: int = 3) -> None:
        for number in range(cells):
            put = f"{sample}/{number}.jpg"
            export(self.export, put, results=self.results, sample_id=sample, slide_id="1")

    def sent(self) -> list[str]:
        """The samples of the files, as an importer reads them."""
        files = [path for path in self.drop.iterdir() if path.name[0] != "."]
        return sorted(json.loads(path.read_bytes())["sample_id"] for path in files)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def await_log(self, text: str) -> None:
        until(lambda: text in self.log)

    def await_again(self) -> None:
        """Wait until the trouble that was told last has ended."""
        until(lambda: "can be read again" in self.log.rpartition("cannot be read")[2])

    @contextmanager
    def watching(
        self, environment: Mapping[str, str] | None = None, *, codes: tuple[int, ...] = (0,)
    ) -> Iterator[subprocess.Popen[bytes]]:
        """The process; at the end it is stopped, and its exit code is one of these."""
        config = self.folder / "results.yaml"
        config.write_text(json.dumps(self.settings))
        argv = [
            sys.executable,
            "-m",
            "edge.results.cli",
            "send",
            "--watch",
            "--config",
            str(config),
        ]
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                argv, env={**os.environ, **(environment or {})}, stdout=log, stderr=log
            )
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) in codes, self.log
        finally:
            process.kill()
            process.wait()
