from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.results.issued.issued import Issued
from tests.edge.results.slides.look import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Issued.open(tmp_path / "state") as issued:
        yield Lab(tmp_path, issued)
