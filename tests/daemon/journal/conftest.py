"""A journal on a clock to turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.journal.journal import Journal, open_journal
from tests.daemon.journal.images import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    journal = open_journal(tmp_path, clock=clock)
    assert journal.serve(tmp_path / "export") == 1
    yield journal
    journal.close()
