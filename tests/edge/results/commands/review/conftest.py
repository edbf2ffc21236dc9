"""A reviewed site, and the command audit on it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.results.cli import main
from edge.results.document.result import CELL_CLASSES, Person
from edge.results.review.desk.desk import Desk
from tests.support.review_site import MINA, CellSpec, ReviewSite

Run = Callable[..., str]
CELLS = [CellSpec("neutrophil")] * 4 + [CellSpec("lymphocyte", 0.6)] * 2 + [CellSpec(None, 0.3)]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object, exit_code: int = 0) -> str:
        assert main(["audit", *map(str, arguments)]) == exit_code
        shown = capsys.readouterr()
        return shown.out if exit_code in {0, 6} and shown.out else shown.err

    return call


@pytest.fixture
def site(tmp_path: Path) -> ReviewSite:
    """One slide: two lymphocytes corrected, an unidentified cell signed as an artefact."""
    site = ReviewSite(tmp_path)
    site.add_slide("S000123", CELLS)
    sign(site)
    return site


def sign(site: ReviewSite, by: Person = MINA) -> None:
    """One lymphocyte becomes ig, one monocyte, what is unidentified an artefact; then signed."""
    config = site.config
    with Desk.open(config.slides, config.review, config.state_dir) as desk:
        (row,) = desk.slides(by)["slides"]

        def decide(cells: list[dict[str, Any]], label: str | None) -> None:
            if not cells:
                return
            shown = [{"id": one["id"], "before": one["label"]} for one in cells]
            body = {"request": secrets.token_hex(16), "action": "decide"}
            desk.decide(by, "system", row["key"], {**body, "cells": shown, "label": label})

        cells = desk.slide(by, row["key"])["cells"]
        of = {label: [c for c in cells if c["label"] == label] for label in (*CELL_CLASSES, None)}
        decide(of["neutrophil"], None)
        decide(of["lymphocyte"][:1], "ig")
        decide(of["lymphocyte"][1:], "monocyte")
        decide(of[None], "artefact")
        digest = desk.differential_job(by, row["key"])()["digest"]
        seen = {**desk.entry(row["key"]), "shown": digest}
        body = {"request": secrets.token_hex(16), "reason": None, **seen}
        desk.sign(by, "system", row["key"], body)
