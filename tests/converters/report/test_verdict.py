from __future__ import annotations

from pathlib import Path
from typing import Any

from converters.inputs.image_set import draw_images
from converters.report.figures.facts import DRAWN_ORIGIN
from edge.shares.share import Share
from tests.support.report.parsed_page import page
from tests.support.report.sample_evidence import both, graph


def test_report_of_refused_default_graph_says_why_first(evidence: dict[str, Any]) -> None:
    evidence["graphs"]["x86"] = graph(passed=False)
    evidence["graphs"]["x86-7bit"] = graph(passed=True)
    text = page(evidence).text
    refused = text.index("INT8 was refused for x86")
    assert refused < text.index("INT8 loses 3.12 points of accuracy") < text.index("All graphs")
    assert "even with 2 layers in float" in text
    assert "x86-7bit passed, but is left out of the bundle" in text


def test_report_of_refused_other_graph_warns_and_shows_its_limits(
    evidence: dict[str, Any],
) -> None:
    text = page(evidence).text
    assert "INT8 passed for x86, but was refused for tensorrt" in text
    assert "tensorrt was refused: INT8 loses 3.12 points" in text
    assert text.count("What INT8 may lose against FP32") == 2


def test_report_of_passed_graphs_is_good_news(evidence: dict[str, Any]) -> None:
    for found in evidence["graphs"].values():
        found |= {"passed": True, "rescue_steps": [], "checks": []}
        found |= {"disagreements": [], "layer_effects": []}
        found["per_class"]["platelet"] = both(lambda _: Share(20, 20).to_dict())
    shown = page(evidence)
    assert "INT8 passed the accuracy check" in shown.text
    assert "verdict good" in shown.values("class")
    assert "None: INT8 gives every image the same label" in shown.text
    assert not {"rescue", "effects", "graph-1"} & set(shown.values("id"))


def test_report_of_passed_graphs_with_few_images_of_a_class_is_no_good_news(
    evidence: dict[str, Any],
) -> None:
    for found in evidence["graphs"].values():
        found |= {"passed": True, "rescue_steps": [], "checks": []}
        found["per_class"]["platelet"] = both(lambda _: Share(7, 7).to_dict())
    text = page(evidence).text
    assert "INT8 passed, but on too few images of platelet" in text
    warning = text.index("Few images carry the verdict on platelet (7 images)")
    assert warning < text.index("Accuracy of x86")
    assert "7 too few" in text


def test_report_of_unlabelled_images_claims_no_accuracy(unlabelled: dict[str, Any]) -> None:
    shown = page(unlabelled)
    assert "The validation images have no labels" in shown.text
    assert "verdict warn" in shown.values("class")
    assert "How many of them are right is not known" in shown.text
    assert "which of the two models is right is not known" in shown.text
    assert not {"classes", "confusion"} & set(shown.values("id"))
    assert "Points lost" in shown.text
    assert "0.00 points" not in shown.text


def test_report_of_drawn_cells_warns(evidence: dict[str, Any], tmp_path: Path) -> None:
    assert draw_images(1, 1, tmp_path).origin == DRAWN_ORIGIN
    assert "drawn cells" not in page(evidence).text
    evidence["validation"]["origin"] = DRAWN_ORIGIN
    evidence["graphs"]["tensorrt"]["passed"] = True
    shown = page(evidence)
    assert "INT8 passed, but on drawn cells only" in shown.text
    assert "The check was made on drawn cells" in shown.text
    assert "verdict warn" in shown.values("class")


def test_report_with_class_without_images_names_it(evidence: dict[str, Any]) -> None:
    shown = page(evidence)
    assert "The check covers no image of platelet" in shown.text
    assert "no images" in shown.text


def test_report_of_a_graph_that_could_not_be_made_says_so_first(
    evidence: dict[str, Any],
) -> None:
    del evidence["graphs"]["x86"]
    evidence["not_made"] = {"x86": "Fail: no kernel <b>", "fp16": "RuntimeError: no opset"}
    found = page(evidence).text
    assert "FP32 only on CPUs: INT8 could not be made for x86 (CPUs with VNNI)" in found
    assert "No graph x86 (CPUs with VNNI) could be made: Fail: no kernel <b>." in found
    assert "No graph fp16 (NVIDIA GPUs, not quantized) could be made: RuntimeError" in found


def test_report_names_what_fp16_cannot_hold_and_what_was_calibrated_on(
    evidence: dict[str, Any],
) -> None:
    evidence["fp16"] = {**graph(passed=True), "kept_float": {"/Mul_1": 524_288.0}}
    evidence["graphs"]["tensorrt"] |= {"passed": True, "rest_in": "fp32"}
    evidence["validation"]["also_calibrated"] = 12
    found = page(evidence).text
    assert "Beyond the range of FP16, and therefore FP32 in the graphs for GPUs: /Mul_1" in found
    assert "What is not quantized in the graph for tensorrt stays in FP32" in found
    assert "Calibrated on 12 validation images too" in found
    evidence["graphs"]["tensorrt"]["passed"] = False
    evidence["fp16"] = graph(passed=False)
    found = page(evidence).text
    assert "stays in FP32" not in found
    assert "fp16 was refused: INT8 loses 3.12 points" in found


def test_report_without_int8_says_so(evidence: dict[str, Any]) -> None:
    evidence["graphs"] = {}
    text = page(evidence).text
    assert "FP32 only: no INT8 graph was made" in text
    assert "labels 157 of them right" in text
