from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from converters.accuracy.intervals import Share
from converters.inputs.image_set import draw_images
from converters.report.drawings import outside
from converters.report.facts import DRAWN_ORIGIN, drop_interval
from converters.report.images import MAX_THUMBNAIL_BYTES, SHOWN_IMAGES, share_out
from converters.report.markup import Html, join, tag
from converters.report.numbers import number, percent, points
from converters.report.page import render_report
from converters.report.thumbnails import SIDE_PX, thumbnail, thumbnails_of

HOSTILE = '<script>alert("x")</script>\'"&'
CLASSES = ["neutrophil", "ig", HOSTILE, "platelet"]
VOID = {"br", "img", "meta"}
CONFUSION = {
    "fp32": [[70, 0, 0, 0], [2, 28, 0, 0], [0, 0, 59, 1], [0, 0, 0, 0]],
    "int8": [[66, 4, 0, 0], [1, 29, 0, 0], [0, 0, 57, 3], [0, 0, 0, 0]],
}
TOTAL = 160


def shares(table: list[list[int]]) -> list[Share]:
    return [Share(row[i], sum(row)) for i, row in enumerate(table)]


def class_share(index: int, precision: str) -> dict[str, Any]:
    return shares(CONFUSION[precision])[index].to_dict()


def both(make: Callable[[str], Any]) -> dict[str, Any]:
    return {precision: make(precision) for precision in ("fp32", "int8")}


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def disagreement(number_: int, label: str | None, fp32: str, int8: str) -> dict[str, Any]:
    return {
        "file": f"cell {number_:03}.jpg",
        "label": label,
        "fp32": fp32,
        "int8": int8,
        "fp32_confidence": 0.9123,
        "int8_confidence": 0.5512,
    }


def disagreements(count: int) -> list[dict[str, Any]]:
    a, b, c, d = CLASSES
    # The first seven make FP32's confusion table INT8's.
    kinds = [*[(a, a, b)] * 4, *[(c, c, d)] * 2, (b, a, b), (c, b, a)]
    found = [disagreement(i, *kind) for i, kind in enumerate(islice(cycle(kinds), count))]
    found[0]["file"] = f"{HOSTILE}.jpg"
    return found


def checks(*, holds: bool) -> list[dict[str, Any]]:
    drop = {"name": "accuracy drop", "found": 3.125, "limit": 0.5, "holds": holds}
    agreement = {"name": "agreement", "found": 0.95, "limit": 0.99, "holds": holds}
    return [
        {**drop, "text": "INT8 loses 3.12 points of accuracy, at most 0.5 are allowed"},
        {**agreement, "text": "INT8 and FP32 agree on 95.0%, at least 99.0% is needed"},
        {"name": "divergence", "found": 4e-5, "limit": 0.05, "holds": True, "text": "fine"},
        {
            "name": "calibration error rise",
            "found": -6e-5,
            "limit": 0.03,
            "holds": True,
            "text": "",
        },
        {"name": "a check to come", "found": 1.0, "limit": 2.0, "holds": True, "text": ""},
    ]


def tensor(name: str) -> dict[str, Any]:
    counts = [1, 0, 40, 900, 120_000, 3_000_000, 8_000, 20, 3, 1, 0, 0]
    histogram = {"start": -6.0, "bar_width": 2.0, "counts": counts}
    return {
        "name": name,
        "range": [-3.5, 9.25],
        "seen": [-5.9, 13.7],
        "noise": 0.0421,
        "histogram": histogram,
    }


def graph(*, passed: bool, disagreeing: int = 7) -> dict[str, Any]:
    layers = [f"/blocks/{i}/Conv" for i in range(25)]
    return {
        "passed": passed,
        "method": "percentile 99.99",
        "method_divergence": {"max": 0.0035, "percentile 99.99": 0.0018, "entropy": 0.49},
        "int8_share_of_macs": 0.83,
        "checks": checks(holds=passed),
        "naive_checks": checks(holds=False),
        "layer_effects": [
            {"name": name, "divergence": 0.5 / (i + 1)} for i, name in enumerate(layers)
        ],
        "rescue_steps": [
            {"kept_float": layers[0], "missed": ["accuracy drop"], "int8_share": 0.91},
            {"kept_float": layers[1], "missed": [], "int8_share": 0.83},
        ],
        "worst_tensors": [tensor(f"/blocks/{i}/<output>") for i in range(6)],
        "agreement": Share(TOTAL - disagreeing, TOTAL).to_dict(),
        "divergence": estimate(0.02),
        "disagreements": disagreements(disagreeing),
        "accuracy": both(
            lambda p: Share(sum(s.count for s in shares(CONFUSION[p])), 160).to_dict()
        ),
        "drop_points": 3.125,
        "paired_p_value": 0.21,
        "balanced_accuracy": both(lambda _: estimate(0.95)),
        "balanced_drop_points": estimate(2.0),
        "calibration_error": both(lambda _: estimate(0.04)),
        "worst_class": both(lambda _: HOSTILE),
        "per_class": {
            name: {
                **both(partial(class_share, i)),
                "lost": 4,
                "gained": 1,
                "drop_interval_points": [-1.25, 6.5],
            }
            for i, name in enumerate(CLASSES)
        },
        "layer_correction": {"divergence_before": 0.0022, "divergence_after": 0.0008},
        "confusion": copy.deepcopy(CONFUSION),
    }


@pytest.fixture
def evidence() -> dict[str, Any]:
    """A conversion with everything: rescue, a refused graph, lost images, an empty class."""
    return {
        "schema": "edge-evidence/1",
        "classes": list(CLASSES),
        "validation": {
            "origin": "val",
            "images": TOTAL,
            "sha256": "a1" * 32,
            "labelled": True,
        },
        "gate": {"max_drop_points": 0.5},
        "fp32": {"accuracy": Share(157, TOTAL).to_dict()},
        "graphs": {
            "x86": graph(passed=True),
            "tensorrt": {**graph(passed=False, disagreeing=60), "rescue_steps": []},
        },
    }


@pytest.fixture
def unlabelled(evidence: dict[str, Any]) -> dict[str, Any]:
    """The same without labels, as `evidence_fields` gives it."""
    evidence["validation"]["labelled"] = False
    evidence["fp32"]["accuracy"] = None
    kept = ("drop_points", "paired_p_value", "per_class", "confusion", "worst_class")
    for found in evidence["graphs"].values():
        measures = ("accuracy", "balanced_accuracy", "balanced_drop_points", "calibration_error")
        for key in (*kept, *measures):
            del found[key]
        for image in found["disagreements"]:
            image["label"] = None
    return evidence


FACTS: dict[str, Any] = {
    "name": "cells8",
    "version": "1.0.0",
    "input": {"height": 160, "width": 160, "channels": "rgb", "resize": "area", "crop": 0.65},
    "unidentified_below": 0.5,
    "licence": "Apache-2.0",
    "credit": "Images from https://example.org/cells",
    "source": {"file": f"{HOSTILE}.pt", "kind": "state_dict", "sha256": "b2" * 32},
    "quantization": {
        "calibration": {"origin": "unlabelled", "images": 256, "sha256": "c3" * 32},
        "graphs": {"x86": {"float_layers": ["/blocks/0/Conv", "/blocks/1/Conv"]}},
    },
    "artefacts": [
        {
            "path": "model.int8.onnx",
            "role": "model",
            "sha256": "d4" * 32,
            "bytes": 3_799_742,
            "precision": "int8",
            "requires": {"backend": "onnxruntime", "cpu": "vnni"},
        },
        {"path": "golden/00.jpg", "role": "golden", "sha256": "e5" * 32, "bytes": 1},
    ],
    "software": "microscope-edge 0.1.0",
    "versions": {"python": "3.11.7", "onnx": "1.23.2"},
    "times": {"created": "2026-11-23T19:15:30+00:00"},
    "default_precision": "int8",
}


class Page(HTMLParser):
    """A page taken apart; refuses tags that are not closed in order."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.texts: list[str] = []
        self.feed(content.decode("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute of {tag} twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All that a person reads, words apart by single blanks."""
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, attribute: str) -> list[str]:
        return [found[attribute] or "" for _, found in self.elements if attribute in found]


def page(evidence: dict[str, Any], thumbnails: Callable[[str], bytes | None] | None = None) -> Page:
    return Page(render_report(evidence, FACTS, thumbnails or (lambda _: None)))


def test_report_of_everything_shows_every_section(evidence: dict[str, Any]) -> None:
    found = page(evidence)
    expected = "graphs accuracy classes confusion disagreements gate rescue effects methods ranges"
    assert [i for i in found.values("id") if i in expected.split()] == expected.split()
    assert "graph-1" in found.values("id")
    assert "model" in found.values("id")
    links = [href for href in found.values("href") if href.startswith("#")]
    assert {link[1:] for link in links} <= set(found.values("id"))


def test_report_shows_the_numbers_of_the_evidence(evidence: dict[str, Any]) -> None:
    text = page(evidence).text
    for part in (
        "Of 160 images the original model (FP32) labels 157 right and the quantized one (INT8) 152",
        "3.12 points",
        "95.0% (152 of 160)",
        "p = 0.21",
        "94.3% (66 of 70)",
        "0.02 nats",
        "at most 0.50 points",
        "83% of the arithmetic is still INT8",
        "/blocks/0/Conv now float",
        "20 of 25 layers",
        "INT8 range \N{MINUS SIGN}3.5 to 9.25",
        "percentile 99.99 chosen",
        "images of unlabelled",
        "cell 001.jpg",
        "160 x 160 pixels, RGB",
        "3.8 MB",
        "onnx 1.23.2",
        "b2" * 32,
    ):
        assert part in text


def test_report_is_well_formed_with_unique_ids_and_alternative_texts(
    evidence: dict[str, Any], colour_jpeg: Callable[..., bytes]
) -> None:
    found = page(evidence, lambda _: colour_jpeg())
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    assert found.all("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in found.all("img"))
    assert all(drawing["aria-label"] for drawing in found.all("svg"))
    assert all(header.get("scope") in ("col", "row") for header in found.all("th"))
    assert len(found.all("caption")) == len(found.all("table"))
    assert [
        level for level in ("h1", "main", "header", "footer") if len(found.all(level)) != 1
    ] == []


def test_report_with_hostile_names_runs_and_loads_nothing(
    evidence: dict[str, Any], colour_jpeg: Callable[..., bytes]
) -> None:
    content = render_report(evidence, FACTS, lambda _: colour_jpeg())
    found = Page(content)
    assert found.all("script") == []
    assert HOSTILE in found.text
    assert f"{HOSTILE}.jpg" in found.text
    assert any(HOSTILE in label for label in found.values("aria-label"))
    assert not [name for _, names in found.elements for name in names if name.startswith("on")]
    loading = [*found.values("src"), *found.values("srcset"), *found.values("data")]
    assert all(source.startswith("data:image/jpeg;base64,") for source in loading)
    assert all(link.startswith("#") for link in found.values("href"))
    assert not re.search(rb"url\(|@import|http-equiv=.refresh", content)
    assert found.all("link") == []


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


def test_report_marks_rescue_steps_that_were_taken_back(evidence: dict[str, Any]) -> None:
    steps = evidence["graphs"]["x86"]["rescue_steps"]
    steps[0]["is_kept"], steps[1]["is_kept"] = True, False
    found = page(evidence).text
    assert "/blocks/1/Conv taken back" in found
    assert "/blocks/0/Conv now float" in found
    assert "/blocks/1/Conv now float" not in found


def test_report_without_int8_says_so(evidence: dict[str, Any]) -> None:
    evidence["graphs"] = {}
    text = page(evidence).text
    assert "FP32 only: no INT8 graph was made" in text
    assert "labels 157 of them right" in text


def test_report_without_facts_is_whole(evidence: dict[str, Any]) -> None:
    Page(render_report(evidence, {}, lambda _: None))


def test_report_does_not_depend_on_time_or_speed(evidence: dict[str, Any]) -> None:
    other = {**FACTS, "times": {"created": "2030-01-01"}, "default_precision": "fp32"}
    assert render_report(evidence, FACTS, lambda _: None) == render_report(
        evidence, other, lambda _: None
    )


def test_report_keeps_the_evidence_unchanged(evidence: dict[str, Any]) -> None:
    before = json.dumps(evidence)
    render_report(evidence, FACTS, lambda _: None)
    assert json.dumps(evidence) == before


def test_report_marks_the_cells_in_which_int8_differs(evidence: dict[str, Any]) -> None:
    shown = page(evidence)
    changed = [c for c in shown.all("td") if "changed" in (c.get("class") or "").split()]
    assert len(changed) == 6
    assert "\N{MINUS SIGN}4" in shown.texts
    assert "+4" in shown.texts


def test_report_shows_at_most_forty_images_and_counts_the_rest(
    evidence: dict[str, Any],
) -> None:
    jpeg = b"\xff\xd8" + bytes(MAX_THUMBNAIL_BYTES - 2)
    content = render_report(evidence, FACTS, lambda _: jpeg)
    assert len(content) < 2_000_000
    shown = Page(content)
    assert len(shown.all("img")) == SHOWN_IMAGES
    assert "27 more images are listed in evidence.json only" in shown.text


def test_report_with_too_large_thumbnail_leaves_it_out(evidence: dict[str, Any]) -> None:
    shown = page(evidence, lambda _: bytes(MAX_THUMBNAIL_BYTES + 1))
    assert shown.all("img") == []
    assert "no picture" in shown.text


def test_report_with_file_name_that_is_no_utf8_is_written(evidence: dict[str, Any]) -> None:
    evidence["graphs"]["x86"]["disagreements"][0]["file"] = "cell\udcff.jpg"
    assert "cell?.jpg" in page(evidence).text


@pytest.mark.parametrize(
    ("counts", "shown"),
    [([8, 60], [8, 32]), ([60, 60], [20, 20]), ([0, 0, 3], [0, 0, 3]), ([60, 2, 1], [37, 2, 1])],
)
def test_share_out_fills_the_limit_and_leaves_nobody_out(
    counts: list[int], shown: list[int]
) -> None:
    assert share_out(counts, 40) == shown


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


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (points(-0.001), "0.00"),
        (points(-1.5), "\N{MINUS SIGN}1.50"),
        (percent(-0.25), "\N{MINUS SIGN}25.0%"),
        (number(0.0018289), "0.00183"),
        (number(-0.00004), "\N{MINUS SIGN}0.00004"),
        (number(0.0), "0"),
        (number(57.583298), "57.6"),
    ],
)
def test_numbers_are_written_for_people(written: str, expected: str) -> None:
    assert written == expected


def test_outside_counts_clipped_values() -> None:
    assert outside(tensor("x")) == pytest.approx(5 / 3_128_965)


def test_markup_escapes_what_is_no_markup() -> None:
    assert tag("p", "<b>", title='"') == '<p title="&quot;">&lt;b&gt;</p>'
    assert join((Html("<i></i>"), "&")) == "<i></i>&amp;"
    assert tag("p", Html("<b>") + "plain") == "<p>&lt;b&gt;plain</p>"


def test_thumbnail_is_small_and_carries_no_metadata(tmp_path: Path) -> None:
    pixels = np.full((300, 400, 3), 120, np.uint8)
    jpeg = bytes(simplejpeg.encode_jpeg(pixels, 90))
    comment = b"\xff\xfe\x00\x0dpatient 4711"[:15]
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + comment + jpeg[2:])
    small = thumbnail(tmp_path / "a.jpg")
    assert small is not None
    assert simplejpeg.decode_jpeg(small).shape == (120, SIDE_PX, 3)
    assert b"patient" not in small
    assert len(small) < MAX_THUMBNAIL_BYTES


def test_thumbnails_of_damaged_missing_and_ambiguous_files_are_none(
    tmp_path: Path, colour_jpeg: Callable[..., bytes]
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.jpg").write_bytes(colour_jpeg())
    (tmp_path / "good.jpg").write_bytes(colour_jpeg())
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff")
    find = thumbnails_of(sorted(tmp_path.rglob("*.jpg")))
    assert find("same.jpg") is None
    assert find("damaged.jpg") is None
    assert find("absent.jpg") is None
    assert find("good.jpg") is not None
