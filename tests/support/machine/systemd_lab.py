"""A machine under a real systemd with this checkout's program; an analyzer exports to it."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.support.images import Jpeg
from tests.support.machine.nspawn import CannotBootError, Machine, booted
from tests.support.small_bundle import write_small_bundle
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
UNIT = "edge-daemon.service"
EXPORT, RESULTS = "/srv/lab/export", "/srv/lab/results"
CONFIG = "/etc/microscope-edge/edge.yaml"
STATE = "/var/lib/microscope-edge"
BUNDLE = "/opt/microscope-edge/models/colours.edge"
PROGRAM = "/opt/microscope-edge/bin/edge-daemon"
# As far as a person is concerned, the bound: a daemon that hangs labels again.
RECOVERED_S = 30.0
PYTHON = f"/opt/python/bin/{Path(sys.executable).resolve().name}"
# As pip installs a command, but for this checkout and the packages of this Python.
PROGRAM_TEXT = f"""#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/checkout:/opt/packages
exec {PYTHON} -P -c \
    'import sys; from MODULE import main; sys.exit(main())' "$@"
"""


class Laboratory:
    """A machine with the service installed; one analyzer exports to a share's folder."""

    def __init__(self, machine: Machine, jpeg: Jpeg) -> None:
        self.machine = machine
        self._jpeg = jpeg
        self.numbers = iter(range(10_000))

    def export(self, colour: str = "red", *, export: str = EXPORT) -> str:
        """Rename an image into the export folder, as root; gives its name."""
        name = f"{next(self.numbers):05}.jpg"
        partial = self.machine.at(f"{export}/.{name}.part")
        partial.write_bytes(self._jpeg(colour))
        partial.chmod(0o644)
        partial.rename(partial.with_name(name))
        return name

    def sidecar(self, name: str, *, results: str = RESULTS, timeout_s: float = 15.0) -> Path:
        path = self.machine.at(f"{results}/{name}.json")
        until(path.exists, timeout_s=timeout_s)
        return path

    def label(self, name: str, **how: Any) -> str:
        fields = json.loads(self.sidecar(name, **how).read_bytes())
        assert fields["status"] == "labelled"
        return str(fields["label"])

    def pid(self) -> int:
        return int(self.machine.show(UNIT, "MainPID"))

    def signal(self, number: signal.Signals) -> None:
        self.machine.run("kill", f"-{number.value}", str(self.pid()))

    def configure(self, **changes: Any) -> None:
        path = self.machine.at(CONFIG)
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))

    def journal(self) -> list[tuple[str, str]]:
        # Read within: SQLite would follow /proc/PID/root to the root outside.
        program = (
            "import json, sqlite3, sys; db = sqlite3.connect(sys.argv[1]); "
            "rows = db.execute('SELECT CAST(path AS TEXT), state FROM image ORDER BY path'); "
            "print(json.dumps(rows.fetchall()))"
        )
        python = ("env", "LD_LIBRARY_PATH=/opt/python/lib", PYTHON)
        result = self.machine.run(*python, "-c", program, f"{STATE}/journal.sqlite3")
        return [(path, state) for path, state in json.loads(result.stdout)]


@contextmanager
def booted_machine(scratch: Path) -> Iterator[Machine]:
    """Boot a machine that has this checkout's program; skips the test where none can be booted."""
    binds = {
        Path(sys.base_prefix): "/opt/python",
        # Where the packages lie, whatever kind of environment this Python has.
        Path(np.__file__).parent.parent: "/opt/packages",
        ROOT: "/opt/checkout",
    }
    try:
        with booted(scratch, binds) as machine:
            yield machine
    except CannotBootError as error:
        pytest.skip(str(error))


def add_command(machine: Machine, path: str = PROGRAM, module: str = "daemon.cli") -> None:
    """A program, before any installation."""
    program = machine.at(path)
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(PROGRAM_TEXT.replace("MODULE", module))
    program.chmod(0o755)


def add_program(machine: Machine, jpeg: Jpeg) -> None:
    """The program, a small bundle and a group for the share, before any installation."""
    add_command(machine)
    write_small_bundle(machine.at(BUNDLE), jpeg)
    machine.run("chmod", "-R", "a+rX", "/opt/microscope-edge")
    machine.run("groupadd", "--system", "labshare")
