"""An instance of the service under a real systemd."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import PurePath
from typing import Any

import yaml

from tests.support.images import Jpeg
from tests.support.machine.nspawn import Machine
from tests.support.machine.systemd_lab import (
    BUNDLE,
    PROGRAM,
    Laboratory,
)


class Instance:
    """edge-daemon@NAME, whose folders are below /srv/NAME."""

    def __init__(self, machine: Machine, name: str, jpeg: Jpeg) -> None:
        self.machine, self.name = machine, name
        self.unit = f"edge-daemon@{name}.service"
        self.export, self.results = f"/srv/{name}/export", f"/srv/{name}/results"
        self.config = f"/etc/microscope-edge/{name}.yaml"
        self.state = f"/var/lib/microscope-edge/{name}"
        self.drop_ins = f"/etc/systemd/system/{self.unit}.d"
        self._laboratory = Laboratory(machine, jpeg)
        machine.run("mkdir", "-p", self.export)

    def edge(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        words = ("--instance", self.name, *words)
        return self.machine.run(PROGRAM, command, *words, is_checked=False)

    def install(self, *words: str) -> None:
        # All instances share the unit's file, and with it the program.
        prefix = str(PurePath(PROGRAM).parent.parent)
        result = self.edge("install", "--bundle", BUNDLE, "--prefix", prefix, *words)
        assert result.returncode == 0, result.stdout + result.stderr

    def configure(self, **changes: Any) -> None:
        path = self.machine.at(self.config)
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))

    def start(self) -> None:
        self.machine.run("systemctl", "start", self.unit)

    def labels(self, colour: str, **where: str) -> None:
        """The service labels an image that is exported now."""
        where = {"export": self.export, "results": self.results, **where}
        name = self._laboratory.export(colour, export=where["export"])
        assert self._laboratory.label(name, results=where["results"]) == colour


NUMBERS = itertools.count(1)
