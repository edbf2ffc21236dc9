"""Which result follows on which: late cells, changed images, verifications."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from edge.results.document.result import Person, State
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.slides.outcome import SlideReport
from tests.edge.results.slides.look import HOUR, Lab, late, only_reason
from tests.support.sidecar_cells import rejected_of
from tests.support.slide_results import PERSON, sha_of


def test_result_that_nothing_changed_stands(lab: Lab, cells: list[SidecarCell]) -> None:
    first = lab.issue(cells)
    lab.now += HOUR
    report = lab.look(reversed(cells))
    assert (report.new, report.standing, report.held) == ((), (first,), ())


def test_late_cells_make_a_preliminary_revision_with_a_later_time(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    first = lab.issue(cells)
    report = lab.look([*cells, late(lab)])
    assert [note.text for note in report.notes] == ["1 cell added"]
    second = lab.issue([*cells, late(lab)])
    assert (second.state, second.revision, second.reason) == (State.PRELIMINARY, 2, None)
    assert second.replaces == first.result_id
    assert second.completed > first.completed
    assert len(second.cells) == 11


def test_changed_label_makes_a_revision_that_is_a_second_later_though_no_cell_is_newer(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    first = lab.issue(cells)
    relabelled = [replace(cells[0], label="ig"), *cells[1:]]
    second = lab.issue(relabelled)
    assert second.completed == first.completed.replace(microsecond=0) + timedelta(seconds=1)
    third = lab.issue(cells)
    assert third.completed.replace(microsecond=0) > second.completed.replace(microsecond=0)


def test_image_replaced_under_its_name_makes_a_revision_and_is_told(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.issue(cells)
    changed = [replace(cells[0], sha256=sha_of("other"), label="ig"), *cells[1:]]
    report = lab.look(changed)
    assert [note.text for note in report.notes] == ["1 cell added", "1 cell removed"]
    assert lab.issue(changed).revision == 2


def test_image_that_became_unreadable_makes_a_revision(lab: Lab, cells: list[SidecarCell]) -> None:
    lab.issue(cells)
    second = lab.issue([rejected_of(lab.root, "S1/slide-1/0000.jpg"), *cells[1:]])
    assert second.differential.rejected == 1
    assert len(second.cells) == 9


def test_images_that_are_gone_are_held_until_a_person_has_verified_the_rest(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    first = lab.issue(cells)
    report = lab.look(cells[2:])
    assert only_reason(report) == (
        "its images lack 2 cells of its last result; restore or verify them"
    )
    assert report.standing == (first,)
    lab.verify(cells[2:], revision=1)
    assert len(lab.issue(cells[2:]).cells) == 8


def test_slide_whose_sidecars_are_all_gone_changes_nothing(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    first = lab.issue(cells)
    assert lab.look([]) == SlideReport((), (), (), (), (), ())
    assert lab.issued.last(first.slide_key) == first


def test_renamed_image_in_its_folder_changes_no_signed_result(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    final = lab.issue(cells)
    renamed = [replace(cells[0], file="new.jpg"), *cells[1:]]
    report = lab.look(renamed)
    assert (report.new, report.held, report.standing) == ((), (), (final,))


def test_leukocyte_count_stays_when_the_manifest_is_gone(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    manifest = lab.root / "manifest.csv"
    manifest.write_text("path,sample_id,wbc\nS1/slide-1,S1,7.3\n")
    first = lab.issue(cells)
    manifest.unlink()
    assert lab.look(cells).standing == (first,)
    manifest.write_text("path,sample_id,wbc\nS1/slide-1,S1,8.1\n")
    assert lab.issue(cells).differential.wbc == 8.1


def test_emptied_cell_of_the_manifest_takes_a_count_and_a_time_back(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    manifest = lab.root / "manifest.csv"
    heading = "path,sample_id,wbc,collected\n"
    manifest.write_text(f"{heading}S1/slide-1,S1,73,2026-11-23T08:00:00Z\n")
    assert lab.issue(cells).differential.wbc == 73
    manifest.write_text(f"{heading}S1/slide-1,S1,,\n")
    second = lab.issue(cells)
    assert (second.differential.wbc, second.collected) == (None, None)
    assert {one.absolute for one in second.differential.classes} == {None}


def test_emptied_count_of_a_final_result_leaves_after_a_person_has_verified_it(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    manifest = lab.root / "manifest.csv"
    manifest.write_text("path,sample_id,wbc\nS1/slide-1,S1,73\n")
    lab.verify(cells, revision=0)
    lab.issue(cells)
    manifest.write_text("path,sample_id,wbc\nS1/slide-1,S1,\n")
    assert "the leukocyte count changed" in only_reason(lab.look(cells))
    lab.now += HOUR
    lab.verify(cells, revision=1)
    assert lab.issue(cells).differential.wbc is None


def test_verification_makes_the_result_final(lab: Lab, cells: list[SidecarCell]) -> None:
    lab.issue(cells)
    lab.now += HOUR
    verification = lab.verify(cells, revision=1, note="looked twice")
    final = lab.issue(cells)
    assert (final.state, final.revision, final.reason) == (State.FINAL, 2, None)
    assert final.completed == verification.at
    assert final.verification is not None
    assert (final.verification.by, final.verification.note) == (PERSON, "looked twice")
    assert {cell.reviewed_by for cell in final.cells} == {PERSON.id}
    assert final.cells[-1].label == "artefact"
    assert final.cells[-1].suggested is None
    assert final.differential.unidentified == 0
    assert [c.count for c in final.differential.classes] == [6, 0, 0, 3, 0, 0]
    assert lab.look(cells).standing == (final,)


def test_verification_before_anything_was_issued_makes_the_first_result_final(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    assert lab.issue(cells).state is State.FINAL


def test_verification_of_an_incomplete_slide_waits(lab: Lab, cells: list[SidecarCell]) -> None:
    (lab.root / "manifest.csv").write_text("path,sample_id,cells\nS1/slide-1,S1,11\n")
    lab.verify(cells, revision=0)
    report = lab.look(cells)
    assert report.new == ()
    assert report.incomplete[0].so_far.state is State.PRELIMINARY


def test_second_verification_corrects_with_its_reason_or_what_changed(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    final = lab.issue(cells)
    lab.now += HOUR
    other = Person("kl", "Kim Lee")
    lab.verify(cells, revision=1, by=other, relabel=lambda label: label or "other")
    corrected = lab.issue(cells)
    assert (corrected.state, corrected.reason) == (State.CORRECTED, "1 label changed")
    assert corrected.replaces == final.result_id
    assert corrected.completed > final.completed
    assert [flag.code.value for flag in corrected.differential.flags][-1] == "other_cells"
    lab.now += HOUR
    lab.verify(cells, revision=2, reason="it was a blast")
    assert lab.issue(cells).reason == "it was a blast"


def test_verification_again_without_a_change_is_told_and_issues_nothing(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    final = lab.issue(cells)
    lab.now += HOUR
    lab.verify(cells, revision=1)
    report = lab.look(cells)
    assert (report.new, report.standing) == ((), (final,))
    assert [note.text for note in report.notes] == ["it was verified again without a change"]


def test_late_cells_of_a_final_result_leave_after_a_person_has_verified_them(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    final = lab.issue(cells)
    more = [*cells, late(lab)]
    report = lab.look(more)
    assert only_reason(report) == "1 cell added since it was verified; verify it again"
    assert report.standing == (final,)
    lab.now += HOUR
    lab.verify(more, revision=1)
    corrected = lab.issue(more)
    assert (corrected.state, corrected.reason) == (State.CORRECTED, "1 cell added")


def test_model_that_labels_a_signed_slide_anew_changes_nothing(
    lab: Lab, cells: list[SidecarCell]
) -> None:
    lab.verify(cells, revision=0)
    final = lab.issue(cells)
    relabelled = [replace(cell, label="ig", confidence=0.99) for cell in cells]
    report = lab.look(relabelled)
    assert (report.new, report.held, report.standing) == ((), (), (final,))
