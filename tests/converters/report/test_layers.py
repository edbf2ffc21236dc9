from __future__ import annotations

from typing import Any

import pytest

from converters.report.drawings import outside
from tests.converters.report.parsed_page import page
from tests.converters.report.sample_evidence import tensor


def test_report_marks_rescue_steps_that_were_taken_back(evidence: dict[str, Any]) -> None:
    steps = evidence["graphs"]["x86"]["rescue_steps"]
    steps[0]["is_kept"], steps[1]["is_kept"] = True, False
    found = page(evidence).text
    assert "/blocks/1/Conv taken back" in found
    assert "/blocks/0/Conv now float" in found
    assert "/blocks/1/Conv now float" not in found


def test_outside_counts_clipped_values() -> None:
    assert outside(tensor("x")) == pytest.approx(5 / 3_128_965)
