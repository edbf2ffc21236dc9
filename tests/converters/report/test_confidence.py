from __future__ import annotations

from typing import Any

from converters.report.confidence import confidence
from tests.support.report.parsed_page import page
from tests.support.report.sample_evidence import HOSTILE
from tests.support.report.sample_evidence import confidence as judged


def test_report_shows_the_calibration_error_before_and_after(evidence: dict[str, Any]) -> None:
    found = confidence(evidence)
    assert found is not None
    assert found.graph == "model.int8.onnx"
    fitted = {row.file: row for row in found.rows}
    assert fitted["model.int8.onnx"].before.text == "38.2%"
    assert fitted["model.int8.onnx"].after.text == "19.2%"
    assert fitted["model.fp32.onnx"].after.text == ""
    assert "not fitted on" in fitted["model.fp32.onnx"].temperature.note
    text = page(evidence).text
    for part in ("0.471", "35.6% to 42.6%", "159 of 160"):
        assert part in text


def test_report_without_any_temperature_says_that_none_divides_the_logits(
    evidence: dict[str, Any],
) -> None:
    assert "divided by its temperature" in page(evidence).text
    for found in evidence["confidence"].values():
        found["not_fitted"] = "too few images"
    text = page(evidence).text
    assert "No graph got a temperature" in text
    assert "divided by its temperature" not in text


def test_report_names_labels_whose_confidence_is_wrong_and_warns_of_those_too_sure(
    evidence: dict[str, Any],
) -> None:
    found = confidence(evidence)
    assert found is not None
    too_sure = (
        "The label platelet is right less often than its confidence says: 93.1% sure, 0.0% right "
        "(0 of 13)."
    )
    assert too_sure in found.doubts
    assert any(f"The label {HOSTILE} is right more often" in line for line in found.doubts)
    shown = page(evidence)
    assert shown.texts.count(too_sure) == 2
    assert shown.text.count("right more often") == 3


def test_report_of_a_confidence_that_is_right_names_no_label(evidence: dict[str, Any]) -> None:
    for found in evidence["confidence"].values():
        found["doubts"] = []
    assert "Where it does not hold" not in page(evidence).text


def test_report_says_where_a_share_of_right_labels_is_not_reached(
    evidence: dict[str, Any],
) -> None:
    text = page(evidence).text
    assert "The most cells of which 99.0% are right not reached" in text
    reached = evidence["confidence"]["model.int8.onnx"]["reached"]
    reached[0]["kept"] = evidence["confidence"]["model.int8.onnx"]["at_limit"]
    assert "The most cells of which 99.0% are right 0.5 99.4% 159 of 160" in page(evidence).text


def test_report_of_fp32_alone_shows_its_confidence(evidence: dict[str, Any]) -> None:
    evidence["graphs"] = {}
    evidence["confidence"] = {"model.fp32.onnx": judged(1.0)}
    shown = page(evidence)
    assert "confidence" in shown.values("id")
    assert "#confidence" in shown.values("href")


def test_report_without_labels_leaves_the_section_out(unlabelled: dict[str, Any]) -> None:
    assert "confidence" not in page(unlabelled).values("id")


def test_report_of_evidence_from_before_these_figures_leaves_the_section_out(
    evidence: dict[str, Any],
) -> None:
    del evidence["confidence"]
    assert "confidence" not in page(evidence).values("id")
