from __future__ import annotations

import pytest

from edge.results.formats.code_map import load_code_map
from edge.results.formats.format import Context, Site


@pytest.fixture(scope="session")
def context() -> Context:
    return Context(load_code_map(), Site(facility="Labor Süd", device="dm96-left, room 3"))
