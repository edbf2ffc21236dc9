"""A machine under a real systemd with the service installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.images import Jpeg
from tests.support.machine.nspawn import Machine
from tests.support.machine.systemd_lab import (
    BUNDLE,
    CONFIG,
    EXPORT,
    PROGRAM,
    RESULTS,
    UNIT,
    Laboratory,
    add_program,
    booted_machine,
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted_machine(tmp_path_factory.mktemp("nspawn")) as machine:
        yield machine


@pytest.fixture(scope="module")
def installed(machine: Machine, colour_jpeg: Jpeg) -> Laboratory:
    add_program(machine, colour_jpeg)
    # Only the group gets at the folders, as on a share.
    machine.run("install", "-d", "-m", "0750", "-g", "labshare", EXPORT)
    machine.run("install", "-d", "-m", "2770", "-g", "labshare", RESULTS)
    words = ["--bundle", BUNDLE, "--share", "labshare"]
    machine.run(PROGRAM, "install", *words, "--watch", EXPORT, "--results", RESULTS)
    laboratory = Laboratory(machine, colour_jpeg)
    watch = [{"folder": EXPORT}]
    laboratory.configure(watch=watch, settle_s=0.1)
    return laboratory


@pytest.fixture
def laboratory(installed: Laboratory) -> Iterator[Laboratory]:
    """The service runs; afterwards it is stopped and its configuration as before."""
    machine = installed.machine
    config = machine.at(CONFIG).read_text()
    machine.run("systemctl", "start", UNIT)
    yield installed
    machine.run("systemctl", "stop", UNIT)
    machine.run("systemctl", "reset-failed", UNIT, is_checked=False)
    machine.at(CONFIG).write_text(config)
