from __future__ import annotations

from typing import Any

import pytest

from converters.report.figures.facts import drop_interval


def test_drop_interval_without_disagreement_is_not_certain(evidence: dict[str, Any]) -> None:
    found = evidence["graphs"]["x86"]
    found["disagreements"] = []
    low, high = drop_interval(found) or (0, 0)
    assert (low, high) == pytest.approx((-1.71, 1.71), abs=0.01)


def test_drop_interval_is_that_of_its_formula() -> None:
    lost = {"label": "a", "fp32": "a", "int8": "b"}
    gained = {"label": "a", "fp32": "b", "int8": "a"}
    neither = {"label": "a", "fp32": "b", "int8": "c"}
    images = [lost] * 7 + [gained] + [neither] * 3
    found = {"accuracy": {"fp32": {"total": 98}}, "disagreements": images}
    # Laplace estimates 8/100 and 2/100: 6 points, plus or minus 1.96 * sqrt((0.1 - 0.0036) / 100).
    assert drop_interval(found) == pytest.approx((-0.0853, 12.0853), abs=1e-3)
