"""The service in its sandbox labels as `edge-daemon once` does outside of it, under a real systemd.

Real cells where they lie beside the checkout, drawn ones elsewhere, and the reference model, which
is converted for it on few images (EDGE_TEST_BUNDLE=NAME.edge takes a bundle that is there).

    pytest tests/faults/machine/test_sandbox_labels.py      # as root, with systemd-nspawn
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import converters.reference
from edge.demo.analyzer import drawn_images
from tests.conftest import SHARED_IMAGES
from tests.support.machine.nspawn import Machine
from tests.support.machine.systemd_lab import (
    CONFIG,
    PROGRAM,
    UNIT,
    add_command,
    booted_machine,
)
from tests.support.waiting import until

COUNT = 50
# Enough to show that the bundle labels; how well is tested elsewhere.
JUDGED = 40
MODEL = Path(converters.reference.__file__).parent / "cells8.pt"
CELLS8 = "/opt/microscope-edge/models/cells8.edge"
EXPORT, RESULTS = "/srv/dm96/export", "/srv/dm96/results"
OUTSIDE = "/srv/outside"


@pytest.fixture(scope="module")
def cells8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if given := os.environ.get("EDGE_TEST_BUNDLE"):
        return Path(given)
    folder = tmp_path_factory.mktemp("cells8")
    for number, (cell_class, content) in enumerate(drawn_images(JUDGED, seed=6)):
        path = folder / "validation" / cell_class / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    bundle = folder / "cells8.edge"
    few = ["--calibration-images", "32", "--validation", str(folder / "validation")]
    words = [str(MODEL), "--int8", "--out", str(bundle), *few, "--allow-weak-validation"]
    subprocess.run([sys.executable, "-m", "converters.cli", *words], check=True)
    return bundle


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, cells8: Path) -> Iterator[Machine]:
    with booted_machine(tmp_path_factory.mktemp("nspawn")) as machine:
        add_command(machine)
        shutil.copytree(cells8, machine.at(CELLS8))
        machine.run("chmod", "-R", "a+rX,go-w", "/opt/microscope-edge")
        machine.run("mkdir", "-p", EXPORT)
        for name, content in images():
            machine.at(f"{EXPORT}/{name}").write_bytes(content)
        yield machine


def images() -> list[tuple[str, bytes]]:
    """Distinct cells, in the same order everywhere."""
    real = sorted(SHARED_IMAGES.glob("unlabelled/**/*.jpg"))[:COUNT]
    if real:
        return [(path.name, path.read_bytes()) for path in real]
    return [(f"{n:03}.jpg", content) for n, (_, content) in enumerate(drawn_images(COUNT, seed=5))]


# The reference model is converted first.
@pytest.mark.timeout(900)
def test_service_in_its_sandbox_labels_with_the_graph_and_the_numbers_of_once(
    machine: Machine,
) -> None:
    machine.run(PROGRAM, "install")
    path = machine.at(CONFIG)
    # One image after the other: the numbers must not hang on what was labelled together.
    settings = {**yaml.safe_load(path.read_text()), "workers": 1, "batch": {"max_images": 1}}
    path.write_text(yaml.safe_dump(settings))
    machine.run("systemctl", "start", UNIT)
    until(lambda: len(sidecars(machine, RESULTS)) == COUNT, timeout_s=60)
    machine.run("systemctl", "stop", UNIT)

    machine.run("mkdir", "-p", f"{OUTSIDE}/results")
    outside = {**settings, "state_dir": f"{OUTSIDE}/state"}
    outside["results"] = {"folder": f"{OUTSIDE}/results"}
    machine.at(f"{OUTSIDE}/edge.yaml").write_text(yaml.safe_dump(outside))
    machine.run(PROGRAM, "once", "--config", f"{OUTSIDE}/edge.yaml")

    within, without = sidecars(machine, RESULTS), sidecars(machine, f"{OUTSIDE}/results")
    assert len(without) == COUNT
    assert {label["status"] for label in within.values()} <= {"labelled", "unidentified"}
    assert len({label["confidence"] for label in within.values()}) > COUNT // 2
    assert within == without


def sidecars(machine: Machine, folder: str) -> dict[str, dict[str, Any]]:
    """By image, what two runs must agree on: the model with its graph, and every number."""
    told = ("status", "label", "confidence", "probabilities", "model")
    found = {}
    for path in machine.at(folder).glob("*.json"):
        fields = json.loads(path.read_bytes())
        found[path.name] = {key: fields[key] for key in told}
    return found
