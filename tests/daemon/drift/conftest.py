"""A journal that serves one folder, and cells that look like the laboratory's or do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.journal.journal import Journal, open_journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = open_journal(tmp_path)
    assert journal.serve(tmp_path / "export") == 1
    yield journal
    journal.close()
