"""A model and a bundle to sabotage."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from converters.cli import main
from tests.faults.sabotage.lab import write_discs
from tests.support.networks.discs import CLASSES, INPUT, train_on_discs


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sound model, its images and its bundle; no test changes them."""
    folder = tmp_path_factory.mktemp("discs")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network only waits for a second thread
    torch.save(train_on_discs().state_dict(), folder / "model.pt")
    torch.set_num_threads(threads)
    write_discs(folder / "calibration", 49, 5000, by_class=False)
    write_discs(folder / "validation", 196, 9000, by_class=True)
    card = {
        "name": "discs",
        "version": "1",
        "architecture": "tests.support.networks.discs:DiscNetwork",
        "classes": list(CLASSES),
        "input": INPUT,
        "unidentified_below": 0.5,
        "calibration": str(folder / "calibration"),
        "validation": str(folder / "validation"),
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    arguments = [str(folder / "model.pt"), "--int8", "--strict", "--no-cache"]
    assert main([*arguments, "--out", str(folder / "discs.edge")]) == 0
    return folder
