from __future__ import annotations

from typing import Any

import pytest

from tests.support.report.sample_evidence import whole_evidence, without_labels


@pytest.fixture
def evidence() -> dict[str, Any]:
    """A conversion with everything: rescue, a refused graph, lost images, an empty class."""
    return whole_evidence()


@pytest.fixture
def unlabelled(evidence: dict[str, Any]) -> dict[str, Any]:
    """The same without labels."""
    return without_labels(evidence)
