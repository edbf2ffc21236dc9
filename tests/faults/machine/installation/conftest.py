"""A machine under a real systemd, and an instance to install on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.faults.machine.installation.instance import NUMBERS, Instance
from tests.support.images import Jpeg
from tests.support.machine.nspawn import Machine
from tests.support.machine.systemd_lab import (
    add_program,
    booted_machine,
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, colour_jpeg: Jpeg) -> Iterator[Machine]:
    with booted_machine(tmp_path_factory.mktemp("nspawn")) as machine:
        add_program(machine, colour_jpeg)
        yield machine


@pytest.fixture
def instance(machine: Machine, colour_jpeg: Jpeg) -> Iterator[Instance]:
    name = f"dm{next(NUMBERS)}"
    instance = Instance(machine, name, colour_jpeg)
    yield instance
    instance.edge("uninstall", "--purge")
    shutil.rmtree(machine.at(f"/srv/{name}"), ignore_errors=True)
