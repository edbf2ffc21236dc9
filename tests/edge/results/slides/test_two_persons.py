"""Two persons verify the same result: what leaves does not depend on when one looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from edge.results.document.result import Person, SlideResult, State
from edge.results.reading.sidecar_cell import SidecarCell
from tests.edge.results.slides.look import HOUR, Lab
from tests.support.slide_results import PERSON

ANNA, KIM = PERSON, Person("kl", "Kim Lee")
REFUSED = "its verification stands on revision 1, another one made revision {} since; verify it"
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


def test_word_of_a_person_ends_when_another_one_verified_the_newer_result(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.issue(cells)
    lab.verify(cells, revision=1)
    lab.now += HOUR
    lab.verify(cells, revision=1, by=KIM, relabel=lambda _: "ig")
    lab.issue(cells)
    assert len(lab.look(cells).held) == 1
    lab.now += HOUR
    lab.verify(cells, revision=2, relabel=lambda _: "monocyte")
    lab.issue(cells)
    assert lab.look(cells).held == ()
