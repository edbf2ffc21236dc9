from __future__ import annotations

from typing import Any

from tests.support.report.parsed_page import page


def test_report_shows_what_each_class_lost_and_what_layer_correction_did(
    evidence: dict[str, Any],
) -> None:
    text = page(evidence).text
    assert "5.71 \N{MINUS SIGN}1.25 to 6.50; 4 lost, 1 gained" in text
    assert "plain 0.0022, corrected 0.0008" in text
    assert "left out" not in text
    for found in evidence["graphs"].values():
        found["layer_correction"]["kept"] = False
    assert "plain 0.0022, corrected 0.0008 (left out)" in page(evidence).text


def test_report_of_evidence_from_before_these_figures_leaves_them_out(
    evidence: dict[str, Any],
) -> None:
    for found in evidence["graphs"].values():
        del found["layer_correction"]
        for figures in found["per_class"].values():
            del figures["lost"], figures["gained"], figures["drop_interval_points"]
    assert "94.3% (66 of 70)" in page(evidence).text


def test_report_marks_the_cells_in_which_int8_differs(evidence: dict[str, Any]) -> None:
    shown = page(evidence)
    changed = [c for c in shown.all("td") if "changed" in (c.get("class") or "").split()]
    assert len(changed) == 6
    assert "\N{MINUS SIGN}4" in shown.texts
    assert "+4" in shown.texts
