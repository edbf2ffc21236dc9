"""Cells whose id was corrected after their result was issued: what is held, and what leaves."""

from __future__ import annotations

import pytest

from edge.results.document.result import SlideResult, State
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.slides.settled import Settled
from tests.edge.results.slides.look import HOUR, Lab, only_reason
from tests.support.sidecar_cells import cell_of, slide_of

MIX = ["neutrophil"] * 12 + ["lymphocyte"] * 8
WITHDRAW = "its cells were issued under another id; withdraw that result, then verify this"


def run(lab: Lab, sample: str, slide: str | None = None) -> list[SidecarCell]:
    """The same images under these ids."""
    return slide_of(lab.root, MIX, ids=(sample, slide), folder="run7")


def sign(lab: Lab, cells: list[SidecarCell], revision: int = 0) -> SlideResult:
    lab.now += HOUR
    lab.verify(cells, revision=revision)
    return lab.issue(cells)


@pytest.mark.parametrize(
    "wrong", [("S1", "slide-l"), ("S1", "Slide-1"), ("S1", None), ("s1", "slide-1")]
)
def test_corrected_id_leaves_once_a_person_has_verified_it(
    lab: Lab, wrong: tuple[str, str | None]
) -> None:
    sign(lab, run(lab, *wrong))
    right = run(lab, "S1", "slide-1")
    assert only_reason(lab.look(right)) == WITHDRAW
    result = sign(lab, right)
    assert (result.state, result.revision) == (State.FINAL, 1)
    assert lab.look(right).held == ()


def test_slide_is_second_while_a_cell_of_the_first_is_in_no_slide(lab: Lab) -> None:
    sign(lab, run(lab, "S1", "slide-l"))
    right = run(lab, "S1", "slide-1")[1:]
    lab.now += HOUR
    lab.verify(right, revision=0)
    assert only_reason(lab.look(right)).startswith("its sample has 2 slides")


def test_cells_that_came_back_to_their_first_id_are_held_until_verified_again(lab: Lab) -> None:
    first, wrong = run(lab, "S1"), run(lab, "S2")
    sign(lab, first)
    settled = Settled()
    assert lab.look(first, settled=settled).held == ()
    assert only_reason(lab.look(wrong, settled=settled)) == WITHDRAW
    sign(lab, wrong)
    assert only_reason(lab.look(first, settled=settled)) == WITHDRAW
    result = sign(lab, first, revision=1)
    assert (result.state, result.revision) == (State.CORRECTED, 2)
    assert result.reason == "its cells had another id meanwhile"
    assert lab.look(first).held == ()


def test_word_from_before_the_other_result_does_not_bring_cells_back(lab: Lab) -> None:
    first, wrong = run(lab, "S1"), run(lab, "S2")
    sign(lab, first)
    lab.now += HOUR
    lab.verify(first, revision=1)
    assert lab.look(first).held == ()
    sign(lab, wrong)
    assert only_reason(lab.look(first)) == WITHDRAW


def test_cells_of_a_final_result_are_held_in_a_slide_that_was_issued_before(lab: Lab) -> None:
    one = [cell_of(lab.root, f"run7/{n:04}.jpg", ids=("S1", None)) for n in range(20)]
    moved = [cell_of(lab.root, f"run7/{n:04}.jpg", ids=("S2", None)) for n in range(20)]
    two = [cell_of(lab.root, f"run7/{n:04}.jpg", ids=("S2", None)) for n in range(20, 40)]
    sign(lab, one)
    lab.issue([*one, *two])
    # Whichever cells they are: those that find the result in the history are four.
    for place in range(20):
        cells = [*one[:place], *one[place + 1 :], moved[place], *two]
        report = lab.look(cells)
        assert report.new == ()
        assert [held.reason for held in report.held] == [
            "its images lack 1 cell of its last result; restore or verify them",
            "it has 1 cell of a result with another id; correct that one, then verify this",
        ]
    lab.now += HOUR
    lab.verify(one[:19], revision=1)
    cells = [*one[:19], moved[19], *two]
    (corrected,) = lab.look(cells).new
    assert (corrected.sample_id, corrected.state) == ("S1", State.CORRECTED)
    lab.issued.add(corrected)
    assert [result.sample_id for result in lab.look(cells).new] == ["S2"]
