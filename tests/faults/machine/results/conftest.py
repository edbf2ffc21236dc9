"""A machine under a real systemd with the unit of edge-results, and sidecars of slides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.machine.nspawn import Machine
from tests.support.machine.systemd_lab import add_command, booted_machine
from tests.support.sidecar_tree import export, outcome
from tests.support.waiting import until

UNIT = "edge-results@dm96.service"
PROGRAM = "/opt/microscope-edge/bin/edge-results"
CONFIG = "/etc/microscope-edge/results-dm96.yaml"
STATE = "/var/lib/microscope-edge-results/dm96"
SITE = "/srv/dm96"
DROP = f"{SITE}/lis"
CELLS = {"neutrophil": 3, "lymphocyte": 1}


class Laboratory:
    """A machine with the unit; results leave unverified, as soon as a slide is there."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._numbers = iter(range(1, 10_000))

    def slide(self) -> str:
        """A labelled slide; gives the sample's id."""
        sample = f"S{next(self._numbers):04}"
        site = self.machine.at(SITE)
        for label, count in CELLS.items():
            for number in range(count):
                name = f"{sample}/1/{label}{number}.jpg"
                put = partial(export, site / "export", name, outcome(name.encode(), label))
                put(results=site / "results", sample_id=sample, slide_id="1")
        self.machine.run("chown", "-R", "edge:edge", f"{SITE}/results")
        return sample

    def dropped(self) -> list[str]:
        """What an importer sees in the drop folder: the samples of its files."""
        return sorted(json.loads(path.read_bytes())["sample_id"] for path in self.visible())

    def visible(self) -> list[Path]:
        return [path for path in self.machine.at(DROP).iterdir() if path.name[0] != "."]

    def forget_dropped(self) -> None:
        """Take the files away, as an importer does."""
        for path in self.visible():
            path.unlink()

    def await_dropped(self, *samples: str, timeout_s: float = 15.0) -> None:
        until(lambda: set(samples) <= set(self.dropped()), timeout_s=timeout_s, poll_s=0.05)

    def configure(self, **changes: Any) -> None:
        path = self.machine.at(CONFIG)
        path.write_text(json.dumps({**yaml.safe_load(path.read_text()), **changes}))

    def target(self, name: str = "lis", **fields: str) -> None:
        """One target, which is tried again soon."""
        retry = {"first_delay_s": 0.1, "max_delay_s": 0.1}
        states = {"states": ["preliminary"]}
        self.configure(targets=[{"name": name, **fields, **states, "retry": retry}])

    def pid(self) -> int:
        return int(self.machine.show(UNIT, "MainPID"))

    def drop_in(self, name: str, text: str) -> Path:
        path = self.machine.at(f"/etc/systemd/system/{UNIT}.d/{name}")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        self.machine.run("systemctl", "daemon-reload")
        return path


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted_machine(tmp_path_factory.mktemp("nspawn")) as machine:
        yield machine


@pytest.fixture(scope="module")
def installed(machine: Machine) -> Laboratory:
    add_command(machine, PROGRAM, "edge.results.cli")
    machine.run("chmod", "-R", "a+rX", "/opt/microscope-edge")
    machine.run("groupadd", "--system", "lis")
    for name in ("export", "results", "verifications"):
        machine.run("install", "-d", "-m", "0755", f"{SITE}/{name}")
    machine.run("install", "-d", "-m", "2770", "-g", "lis", DROP)
    # As a laboratory does: with the example's folders, then edited.
    machine.run(PROGRAM, "install", "--instance", "dm96", "--share", "lis", "--drop", DROP)
    laboratory = Laboratory(machine)
    slides = {"quiet_s": 0, "verifications": f"{SITE}/verifications"}
    laboratory.configure(slides=slides, poll_s=0.2)
    laboratory.target(format="json", drop=DROP)
    # The delay of a restart is systemd's business.
    laboratory.drop_in("test.conf", "[Service]\nRestartSec=100ms\n")
    return laboratory


@pytest.fixture
def laboratory(installed: Laboratory) -> Iterator[Laboratory]:
    """The service runs; afterwards its configuration is as before, and it is stopped if it was not.

    A start takes 2 s, so that it goes on for the next test where nothing was changed.
    """
    machine = installed.machine
    config = machine.at(CONFIG).read_text()
    machine.run("systemctl", "start", UNIT)
    yield installed
    if machine.at(CONFIG).read_text() != config:
        machine.run("systemctl", "stop", UNIT)
        machine.at(CONFIG).write_text(config)
    machine.run("systemctl", "reset-failed", UNIT, is_checked=False)
    installed.forget_dropped()
