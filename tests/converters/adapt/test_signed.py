"""From signatures on the review page to an adapted bundle, in one command."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from converters.cli import main
from edge.bundle import load_bundle
from edge.results.review.desk.desk import Desk
from tests.converters.conversions import edit_card
from tests.support.networks.tiny_network import CLASSES
from tests.support.review_site import MINA, CellSpec, ReviewSite

# What the small network calls red, green and blue.
NAMES = dict(zip(CLASSES, ("neutrophil", "lymphocyte", "platelet"), strict=True))


@pytest.fixture
def bundle(model_folder: Path) -> Path:
    """A bundle whose classes are cells."""
    for colour, name in NAMES.items():
        (model_folder / "validation" / colour).rename(model_folder / "validation" / name)
    edit_card(model_folder, classes=[NAMES[colour] for colour in CLASSES])
    target = model_folder / "cells.edge"
    assert main([str(model_folder / "tiny.pt"), "--out", str(target)]) == 0
    return target


def signed_site(folder: Path) -> ReviewSite:
    """A slide of two classes, one lymphocyte corrected, all signed."""
    site = ReviewSite(folder)
    cells = [CellSpec("neutrophil")] * 24
    cells += [CellSpec("lymphocyte")] * 23 + [CellSpec("neutrophil", 0.6, drawn="lymphocyte")]
    site.add_slide("S000123", cells)
    config = site.config
    with Desk.open(config.slides, config.review, config.state_dir) as desk:
        (row,) = desk.slides(MINA)["slides"]
        shown = desk.slide(MINA, row["key"])["cells"]
        wrong = [cell for cell in shown if cell["confidence"] == 0.6]
        for chosen, label in (([c for c in shown if c not in wrong], None), (wrong, "lymphocyte")):
            found = [{"id": one["id"], "before": one["label"]} for one in chosen]
            body: dict[str, object] = {"request": secrets.token_hex(16), "action": "decide"}
            desk.decide(MINA, "system", row["key"], {**body, "cells": found, "label": label})
        digest = desk.differential_job(MINA, row["key"])()["digest"]
        seen = {"request": secrets.token_hex(16), "reason": None, "shown": digest}
        desk.sign(MINA, "system", row["key"], {**desk.entry(row["key"]), **seen})
    return site


def test_adapt_to_the_cells_that_were_signed_on_the_review_page(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site").mkdir()
    site, target = signed_site(tmp_path / "site"), tmp_path / "new.edge"
    words = [str(bundle), "--adapt", str(site.config_file), "--out", str(target)]
    assert main(words) == 2
    assert "names no laboratory. Give --site NAME" in capsys.readouterr().err
    assert main([*words, "--site", "south"]) == 0, capsys.readouterr().err
    adapted = load_bundle(target).manifest["adapted"]
    assert adapted["cells"]["origin"] == "signed cells"
    counts = {"neutrophil": 24, "lymphocyte": 24, "platelet": 0}
    assert adapted["cells"]["of_class"] == counts
    assert adapted["cells"]["rows_of_parent"] == ["platelet"]
    assert "S000123" not in (target / "manifest.json").read_text()


def test_adapt_to_a_configuration_without_signed_cells_ends_as_the_audit_does(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site").mkdir()
    site, target = ReviewSite(tmp_path / "site"), tmp_path / "new.edge"
    words = [str(bundle), "--adapt", str(site.config_file), "--site", "a", "--out", str(target)]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert not target.exists()
