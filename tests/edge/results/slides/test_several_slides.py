"""A sample with more slides than one, of which a LIS keeps one differential."""

from __future__ import annotations

from edge.results.reading.sidecar_cell import SidecarCell
from tests.edge.results.slides.look import Lab
from tests.support.sidecar_cells import slide_of

MIX = ["neutrophil"] * 60 + ["lymphocyte"] * 40
REASON = "its sample has 2 slides, and a LIS keeps one differential of a sample"


def slide(lab: Lab, slide_id: str) -> list[SidecarCell]:
    return slide_of(lab.root, MIX, ids=("S1", slide_id), folder=f"S1/{slide_id}")


def test_two_slides_of_a_sample_are_both_held(lab: Lab) -> None:
    report = lab.look([*slide(lab, "a"), *slide(lab, "b")])
    assert [(one.slide_id, one.reason) for one in report.held] == [("a", REASON), ("b", REASON)]
    assert report.new == ()


def test_second_slide_of_an_issued_sample_is_held_and_the_first_goes_on(lab: Lab) -> None:
    first = slide(lab, "a")
    issued = lab.issue(first)
    report = lab.look([*first, *slide(lab, "b")])
    assert report.standing == (issued,)
    assert [(one.slide_id, one.reason) for one in report.held] == [("b", REASON)]


def test_second_slide_is_held_when_the_images_of_the_issued_one_are_gone(lab: Lab) -> None:
    lab.issue(slide(lab, "a"))
    report = lab.look(slide(lab, "b"))
    assert [(one.slide_id, one.reason) for one in report.held] == [("b", REASON)]


def test_two_slides_leave_where_the_lis_keeps_several(lab: Lab) -> None:
    lab.takes_several_slides = True
    report = lab.look([*slide(lab, "a"), *slide(lab, "b")])
    assert [result.slide_id for result in report.new] == ["a", "b"]
    assert report.held == ()
