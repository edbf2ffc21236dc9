from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.results.issued.issued import Issued
from edge.results.reading.sidecar_cell import SidecarCell
from tests.edge.results.slides.look import Lab
from tests.support.sidecar_cells import slide_of

MIX: list[str | None] = ["neutrophil"] * 6 + ["lymphocyte"] * 3 + [None]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Issued.open(tmp_path / "state") as issued:
        yield Lab(tmp_path, issued)


@pytest.fixture
def cells(lab: Lab) -> list[SidecarCell]:
    return slide_of(lab.root, MIX)
