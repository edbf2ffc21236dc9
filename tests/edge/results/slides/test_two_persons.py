"""Two persons verify the same result: what leaves does not depend on when one looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from edge.results.document.result import Person, SlideResult, State
from edge.results.reading.sidecar_cell import SidecarCell
from tests.edge.results.slides.look import HOUR, Lab, late, only_reason
from tests.support.slide_results import PERSON

ANNA, KIM = PERSON, Person("kl", "Kim Lee")
REFUSED = "its verification stands on revision 1, another one made revision {} since; verify it"
UNSEEN = "its verification stands on revision 0, another one made revision 1 since; verify it again"
# Who, on which revision, and the label that all cells get.
Word = tuple[Person, int, str]


def labels_of(result: SlideResult) -> set[str | None]:
    return {cell.label for cell in result.cells}


@pytest.fixture
def play(
    lab: Lab, cells: list[SidecarCell]
) -> Callable[[Sequence[Word], bool], tuple[SlideResult, list[str]]]:
    """Words of persons, a minute apart; returns the last result, and why something is held."""

    def play(words: Sequence[Word], looks_between: bool) -> tuple[SlideResult, list[str]]:  # noqa: FBT001
        first = lab.issue(cells)
        for person, revision, label in words:
            lab.now += timedelta(minutes=1)
            lab.verify(cells, revision=revision, by=person, relabel=lambda _, said=label: said)  # type: ignore[misc]
            if looks_between:
                for result in lab.look(cells).new:
                    lab.issued.add(result)
        # A second look must not forget what the first has told.
        for _ in range(3):
            report = lab.look(cells)
            for result in report.new:
                lab.issued.add(result)
        last = lab.issued.last(first.slide_key)
        assert last is not None
        return last, [held.reason for held in report.held]

    return play


@pytest.mark.parametrize("looks_between", [False, True])
@pytest.mark.parametrize(
    ("words", "signer", "label", "held"),
    [
        ([(ANNA, 1, "ig"), (KIM, 1, "monocyte")], ANNA, "ig", True),
        # The newest word of a person counts, also after another one's.
        ([(ANNA, 1, "ig"), (ANNA, 1, "monocyte")], ANNA, "monocyte", False),
        ([(ANNA, 1, "ig"), (KIM, 1, "monocyte"), (ANNA, 1, "basophil")], ANNA, "basophil", True),
        ([(ANNA, 1, "ig"), (KIM, 1, "monocyte"), (KIM, 1, "ig")], ANNA, "ig", False),
        # Who says the same is in no conflict.
        ([(ANNA, 1, "ig"), (KIM, 1, "ig")], ANNA, "ig", False),
        ([(ANNA, 1, "ig"), (KIM, 1, "ig"), (KIM, 1, "monocyte")], ANNA, "ig", True),
    ],
)
def test_first_person_signs_whether_or_not_one_looked_between(
    play: Callable[[Sequence[Word], bool], tuple[SlideResult, list[str]]],
    words: list[Word],
    signer: Person,
    label: str,
    held: bool,  # noqa: FBT001
    looks_between: bool,  # noqa: FBT001
) -> None:
    last, reasons = play(words, looks_between)
    assert last.verification is not None
    assert (last.verification.by, labels_of(last)) == (signer, {label})
    assert len(reasons) == held
    assert all(r.startswith(REFUSED.format(last.revision)) for r in reasons)


def test_later_person_is_told_at_the_look_that_issues_the_result(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.issue(cells)
    lab.verify(cells, revision=1)
    lab.now += HOUR
    lab.verify(cells, revision=1, by=KIM, relabel=lambda _: "ig")
    report = lab.look(cells)
    assert [result.state for result in report.new] == [State.FINAL]
    (held,) = report.held
    assert held.reason.startswith(REFUSED.format(2))


def test_person_who_confirms_does_not_keep_the_next_one_from_correcting(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    lab.issue(cells)
    lab.now += HOUR
    lab.verify(cells, revision=1)
    lab.now += HOUR
    lab.verify(cells, revision=1, by=KIM, relabel=lambda _: "ig")
    corrected = lab.issue(cells)
    assert corrected.state is State.CORRECTED
    assert corrected.verification is not None
    assert corrected.verification.by == KIM


def test_person_whose_word_does_not_fit_is_not_first(lab: Lab, cells: list[SidecarCell]) -> None:
    lab.issue(cells)
    lab.verify(cells[1:], revision=1)
    lab.now += HOUR
    lab.verify(cells, revision=1, by=KIM)
    final = lab.issue(cells)
    assert final.verification is not None
    assert final.verification.by == KIM


def test_word_of_a_person_stays_told_until_the_person_verifies_again(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.issue(cells)
    lab.verify(cells, revision=1)
    lab.now += HOUR
    lab.verify(cells, revision=1, by=KIM, relabel=lambda _: "ig")
    lab.issue(cells)
    assert only_reason(lab.look(cells)).startswith(REFUSED.format(2))
    for revision, label in ((2, "neutrophil"), (3, "monocyte")):
        lab.now += HOUR
        lab.verify(cells, revision=revision, relabel=lambda _, said=label: said)  # type: ignore[misc]
        result = lab.issue(cells)
        assert only_reason(lab.look(cells)).startswith(REFUSED.format(result.revision))
    lab.now += HOUR
    lab.verify(cells, revision=4, by=KIM, relabel=lambda _: "ig")
    lab.issue(cells)
    assert lab.look(cells).held == ()


def test_word_of_a_person_stays_told_when_the_signer_verifies_again_without_a_change(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    lab.issue(cells)
    lab.now += HOUR
    lab.verify(cells, revision=0, by=KIM, relabel=lambda _: "ig")
    lab.now += HOUR
    lab.verify(cells, revision=0)
    for _ in range(2):
        assert only_reason(lab.look(cells)) == UNSEEN
    (path,) = [path for path in lab.verifications.iterdir() if b"Kim Lee" in path.read_bytes()]
    path.unlink()
    assert lab.look(cells).held == ()


def test_word_of_a_person_that_comes_late_with_an_earlier_time_is_told(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    lab.issue(cells)
    earlier = lab.now - timedelta(seconds=10)
    lab.verify(cells, revision=0, by=KIM, at=earlier, relabel=lambda _: "ig")
    assert only_reason(lab.look(cells)) == UNSEEN


def test_word_of_a_person_stays_told_while_the_slide_waits_for_images(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    lab.issue(cells)
    lab.verify(cells, revision=0, by=KIM, at=lab.now + timedelta(seconds=1), relabel=lambda _: "ig")
    (lab.root / "manifest.csv").write_text("path,sample_id,cells\nS1/slide-1,S1,11\n")
    report = lab.look(cells)
    assert len(report.incomplete) == 1
    assert [held.reason for held in report.held] == [UNSEEN]


def test_person_who_said_the_same_of_fewer_cells_is_in_no_conflict(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    lab.verify(cells, revision=0, by=KIM, at=lab.now + timedelta(seconds=1))
    lab.issue(cells)
    more = [*cells, late(lab)]
    lab.now += HOUR
    lab.verify(more, revision=1)
    lab.issue(more)
    assert lab.look(more).held == ()
