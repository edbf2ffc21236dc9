from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from converters.familiarity.faults import TRIED
from converters.familiarity.laboratory import Laboratory
from converters.familiarity.trial import Tried
from converters.inputs.image_set import ImageSet
from converters.report.laboratory import laboratory
from converters.report.page import render_report
from edge.shares.share import Share
from tests.support.images import Jpeg
from tests.support.laboratory import SPEC, fitted
from tests.support.report.parsed_page import Page, page
from tests.support.report.sample_evidence import FACTS, HOSTILE


@pytest.mark.parametrize("has_reference", [True, False])
def test_section_reads_what_the_converter_tells_of_a_laboratory(has_reference: bool) -> None:  # noqa: FBT001
    images = ImageSet("home", ((None, Path("a.jpg")),), "e1")
    found = Laboratory(
        images=images,
        reference=fitted().reference if has_reference else None,
        sessions={},
        spec=SPEC,
        absent="" if has_reference else "home holds 1 image",
        flagged=Share(2, 200),
        tried=tuple(Tried(fault, Share(40, 40), Share(39, 40)) for fault in TRIED),
        strangest=((Path("a.jpg"), 4.0),),
    )
    shown = laboratory({"laboratory": found.evidence()}, lambda _: None)
    assert shown is not None
    assert bool(shown.absent) is not has_reference
    assert len(shown.faults) == (len(TRIED) if has_reference else 0)
    # Every reason has words of its own.
    assert not [row.name for row in shown.faults if "_" in row.name]


def test_report_shows_what_the_reference_was_learned_from_and_what_it_notices(
    evidence: dict[str, Any],
) -> None:
    text = page(evidence).text
    for part in (
        "Learned from 791 images of unlabelled",
        "Features of the network 1,280 64 components",
        "Limit of the score, model.int8.onnx 2.35",
        "Images of the laboratory beyond the limit 1.0% (8 of 791)",
        "blurred a Gaussian of 2 px 95.0% (38 of 40)",
        "another stain blue 5 % brighter 0.0% (0 of 40)",
        "score 5.12",
    ):
        assert part in text


def test_report_shows_the_strangest_images_of_the_laboratory_not_others_of_their_name(
    evidence: dict[str, Any], colour_jpeg: Jpeg
) -> None:
    """`cell 001.jpg` is an image of the validation, too."""
    shown: list[str] = []

    def of_laboratory(name: str) -> bytes | None:
        shown.append(name)
        return colour_jpeg()

    found = Page(render_report(evidence, FACTS, lambda _: None, of_laboratory))
    assert shown == [f"{HOSTILE}.jpg", "cell 001.jpg"]
    alternatives = [image["alt"] for image in found.all("img")]
    assert alternatives == [
        f"Cell image {HOSTILE}.jpg, score 5.12",
        "Cell image cell 001.jpg, score 4.5",
    ]


def test_report_without_a_reference_says_why_and_warns(evidence: dict[str, Any]) -> None:
    reason = "unlabelled holds 20 images, 100 of the laboratory are needed"
    evidence["laboratory"] = {"origin": "unlabelled", "images": 20, "absent": reason}
    text = page(evidence).text
    assert f"There is none: {reason} ." in text
    assert f"The bundle has no reference of the laboratory: {reason}." in text
    assert "strangest" not in text


def test_report_of_a_network_without_features_says_that_less_is_noticed(
    evidence: dict[str, Any],
) -> None:
    assert "features were not found" not in page(evidence).text
    evidence["laboratory"] |= {"features": None, "components": None}
    text = page(evidence).text
    assert "Features of the network not found statistics of the pictures alone" in text
    assert "The network's features were not found." in text


def test_report_of_evidence_from_before_references_leaves_the_section_out(
    evidence: dict[str, Any],
) -> None:
    del evidence["laboratory"]
    shown = page(evidence)
    assert "laboratory" not in shown.values("id")
    assert "no reference of the laboratory" not in shown.text
