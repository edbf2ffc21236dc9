"""An outage on a clock to turn."""

from __future__ import annotations

import pytest

from tests.daemon.results.outage_case import Case


@pytest.fixture
def case() -> Case:
    return Case()
