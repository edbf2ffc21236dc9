from __future__ import annotations

from typing import Any

from converters.report.page import render_report
from tests.support.report.parsed_page import Page
from tests.support.report.sample_evidence import FACTS


def test_report_names_what_was_changed_in_the_model_and_what_guarded_its_opening(
    evidence: dict[str, Any],
) -> None:
    opened = {"changes": ["the softmax was taken off"], "sandbox": "Landlock 7, seccomp"}
    content = render_report(
        evidence, {**FACTS, "source": {**FACTS["source"], **opened}}, lambda _: None
    )
    text = Page(content).text
    assert "Changed the softmax was taken off" in text
    assert "Opened in a sandbox Landlock 7, seccomp" in text
