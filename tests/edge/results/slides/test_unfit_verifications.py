"""Verifications that do not fit: each is held, and the result stays as it was."""

from __future__ import annotations

from datetime import timedelta

import pytest

from edge.results.document.result import Person, State
from edge.results.reading.sidecar_cell import SidecarCell
from tests.edge.results.slides.look import HOUR, Lab, late, only_reason
from tests.support.slide_results import sha_of


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"revision": 5}, "stands on revision 5, the last one issued is 1"),
        ({"labels": {sha_of("foreign"): "ig"}}, "lacks 10 of 10 cells"),
        ({"at": None}, "from the future"),
    ],
)
def test_verification_that_does_not_fit_is_held_and_the_result_stays_preliminary(
    lab: Lab, cells: list[SidecarCell], changes: dict[str, object], reason: str
) -> None:
    first = lab.issue(cells)
    if "at" in changes:
        changes = {"at": lab.now + HOUR}
    lab.verify(cells, **({"revision": 1} | changes))  # type: ignore[arg-type]
    report = lab.look(cells)
    assert reason in only_reason(report)
    assert report.standing == (first,)


def test_verification_of_one_cell_too_many_is_held(lab: Lab, cells: list[SidecarCell]) -> None:
    lab.issue(cells)
    lab.verify([*cells, late(lab)], revision=1)
    assert "names 1 cell that the slide does not have" in only_reason(lab.look(cells))


def test_verification_that_missed_a_late_cell_is_held_and_the_preliminary_result_leaves(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.issue(cells)
    lab.verify(cells, revision=1)
    report = lab.look([*cells, late(lab)])
    assert [r.state for r in report.new] == [State.PRELIMINARY]
    assert "lacks 1 of 11 cells" in report.held[0].reason


def test_verification_by_one_who_had_not_seen_another_one_is_held(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.issue(cells)
    lab.verify(cells, revision=1)
    lab.issue(cells)
    lab.now += HOUR
    lab.verify(cells, revision=1, by=Person("kl", "Kim Lee"), relabel=lambda _: "ig")
    assert "another one made revision 2 since" in only_reason(lab.look(cells))


def test_two_verifications_at_the_same_time_are_held(lab: Lab, cells: list[SidecarCell]) -> None:
    lab.issue(cells)
    lab.verify(cells, revision=1)
    lab.verify(cells, revision=1, by=Person("kl", "Kim Lee"))
    assert "same time" in only_reason(lab.look(cells))


def test_newer_verification_that_does_not_fit_is_not_replaced_by_an_older_one(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.issue(cells)
    lab.verify(cells, revision=1)
    lab.now += timedelta(minutes=1)
    lab.verify(cells[:5], revision=1)
    assert "lacks 5 of 10 cells" in only_reason(lab.look(cells))


def test_torn_verification_is_held_in_a_line_and_the_result_stands(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    first = lab.issue(cells)
    lab.verify(cells, revision=1)
    (path,) = lab.verifications.iterdir()
    path.write_bytes(path.read_bytes()[:-40])
    report = lab.look(cells)
    assert report.standing == (first,)
    assert "a verification file: it is no verification" in only_reason(report)
    assert report.held[0].file == path.name


def test_correction_by_one_whose_clock_is_behind_is_held_and_not_overlooked(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    lab.issue(cells)
    at = lab.now - timedelta(seconds=30)
    lab.verify(cells, revision=1, at=at, relabel=lambda _label: "ig")
    report = lab.look(cells)
    assert report.new == ()
    assert report.held[0].reason == (
        "its verification has an earlier time than that of the result it stands on; set the "
        "clocks and verify it again"
    )


def test_verification_that_was_changed_after_its_use_is_held(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    first = lab.issue(cells)
    (path,) = lab.verifications.iterdir()
    path.write_text(path.read_text().replace('"neutrophil"', '"ig"'))
    report = lab.look(cells)
    assert (report.new, report.standing) == ((), (first,))
    assert report.held[0].reason == (
        "its verification was changed after it was used; verify it again"
    )
    lab.now += timedelta(minutes=1)
    lab.verify(cells, revision=1, relabel=lambda _label: "ig")
    assert lab.issue(cells).state is State.CORRECTED
