"""One site of the storm: an export, a results folder, a daemon that lives and dies."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from edge.failpoints import VARIABLE
from tests.campaigns.storm.export import Export

ROOT = Path(__file__).parents[3]
SETTLE_S = 0.1


class Site:
    """One export, one results folder, one daemon that lives and dies."""

    def __init__(self, folder: Path, bundle: Path, chance: random.Random) -> None:
        self.folder = folder
        self.results = folder / "results"
        for name in ("export", "results"):
            (folder / name).mkdir(parents=True)
        self.export = Export(folder / "export", chance)
        self.chance = chance
        self._config = folder / "edge.yaml"
        settings = {
            "bundle": str(bundle.resolve()),
            "backend": "onnxruntime",
            "precision": "int8",
            "watch": [{"folder": "export"}],
            "results": {"folder": "results"},
            "state_dir": "state",
            "settle_s": SETTLE_S,
            "rescan_s": 1.0,
            "batch": {"max_images": 8},
        }
        self._config.write_text(json.dumps(settings))
        # Its own short path: the address of a socket holds 107 bytes.
        self._socket_folder = tempfile.TemporaryDirectory(prefix="storm-")
        self._address = f"{self._socket_folder.name}/notify"
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._notified.bind(self._address)

    def close(self) -> None:
        """Give the socket back."""
        self._notified.close()
        self._socket_folder.cleanup()

    def start(self, command: str, armed: str = "") -> subprocess.Popen[bytes]:
        """A real daemon of its own process."""
        while self.has_said("READY=1"):
            pass  # of the one before
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "daemon.cli", command, "--config", str(self._config)],
                cwd=ROOT,
                env={**os.environ, VARIABLE: armed, "NOTIFY_SOCKET": self._address},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    @property
    def log_path(self) -> Path:
        return self.folder / "daemon.log"

    def has_said(self, text: str) -> bool:
        """Whether one of the daemon's notifications since the last call holds `text`."""
        with suppress(BlockingIOError):
            while True:
                if text in self._notified.recv(4096).decode():
                    return True
        return False

    def closing_lines(self) -> str:
        """The end of the daemon's log."""
        return self.log_path.read_bytes()[-500:].decode(errors="replace")
