"""Tests for edge.results.review.desk: one slide's way from the export to a signature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.results.review.desk.desk import Desk
from edge.results.review.refusal import Refusal
from edge.results.verification.verification_file import verification_from_json
from tests.edge.results.review.desk.conftest import Page
from tests.support.review_site import AKI, MINA, CellSpec, ReviewSite

CELLS = [CellSpec("neutrophil")] * 3 + [CellSpec("lymphocyte", 0.6), CellSpec(None, 0.3)]


@pytest.fixture
def site(tmp_path: Path) -> ReviewSite:
    """With a slide, before the desk looks."""
    made = ReviewSite(tmp_path)
    made.add_slide("S1", CELLS, rejected=1)
    return made


@pytest.fixture
def page(desk: Desk) -> Page:
    (row,) = desk.slides(MINA)["slides"]
    return Page(desk, row["key"])


def answers_for_images(page: Page) -> list[str]:
    """The media type of each image of the slide, or why it is not shown."""
    answers = []
    for cell in page.cells():
        try:
            answers.append(page.desk.images.read(page.key, cell["id"])[1])
        except Refusal as error:
            answers.append(str(error.code))
    return sorted(answers)


def codes(answer: dict[str, Any]) -> list[str]:
    return [one["code"] for one in answer["problems"]]


def test_slide_that_nobody_saw_is_open_and_says_what_is_in_the_way(page: Page) -> None:
    found = page.slide()
    row = found["slide"]
    assert (row["stage"], row["cells"], row["open"], row["unidentified"]) == ("open", 5, 5, 1)
    assert (row["rejected"], row["revision"], row["mine"]) == (1, 0, False)
    assert codes(found) == ["unidentified", "undecided"]
    assert [one["label"] for one in found["cells"]].count(None) == 1


def test_every_cell_decided_and_signed_writes_the_verification_that_the_record_names(
    page: Page, site: ReviewSite
) -> None:
    page.decide(page.cells("lymphocyte"), "ig")
    page.decide(page.cells(None), "artefact")
    answer = page.decide(page.cells("neutrophil"))
    assert answer["problems"] == []
    signed = page.sign()
    assert signed["slide"]["stage"] == "signed"
    (file,) = site.verifications.iterdir()
    found = verification_from_json(file.read_bytes())
    assert (found.by, found.sample_id, found.revision) == (MINA, "S1", 0)
    assert sorted(found.labels.values()) == ["artefact", "ig", *["neutrophil"] * 3]
    assert page.slide()["signature"] == signed["signature"]
    assert codes(page.slide()) == ["unchanged"]


def test_unidentified_cell_cannot_be_confirmed(page: Page) -> None:
    with pytest.raises(Refusal, match="has no label that could be right"):
        page.decide(page.cells(None))


def test_cell_that_another_person_changed_is_refused_and_named(page: Page) -> None:
    other = Page(page.desk, page.key, AKI)
    shown = page.cells("lymphocyte")
    other.decide(other.cells("lymphocyte"), "monocyte")
    with pytest.raises(Refusal, match="Aki Kaurismäki has changed a label") as found:
        page.decide(shown)
    assert (found.value.status, found.value.code) == (409, "changed")
    assert page.cells("monocyte")[0]["changed_by"] == "Aki Kaurismäki"


def test_label_that_another_person_changed_later_must_be_looked_at_again(page: Page) -> None:
    page.decide(page.cells("neutrophil"))
    other = Page(page.desk, page.key, AKI)
    other.decide(other.cells("neutrophil")[:1], "ig")
    assert page.slide()["slide"]["open"] == 3
    assert other.slide()["slide"]["open"] == 4


def test_same_request_is_recorded_once_and_answered_alike(page: Page) -> None:
    cells = page.cells("lymphocyte")
    first = page.decide(cells, "ig", request="a" * 32)
    assert (first["previous"], first["entry"]) == (0, 1)
    again = page.decide(cells, "ig", request="a" * 32)
    assert again == {**first, "previous": None}
    assert page.slide()["entry"] == 1


def test_decision_that_changes_nothing_is_not_recorded(page: Page) -> None:
    page.decide(page.cells("neutrophil"))
    page.decide(page.cells("neutrophil"), "neutrophil")
    assert page.slide()["entry"] == 1


def test_undo_restores_labels_and_what_was_undecided(page: Page) -> None:
    before = page.slide()["cells"]
    number = page.decide(page.cells("lymphocyte"), "ig")["undo"]
    answer = page.post(action="undo", undoes=number)
    assert answer["cells"] == before
    assert answer["undo"] is None
    with pytest.raises(Refusal, match="only your last action"):
        page.post(action="undo", undoes=number)


def test_undo_of_another_persons_decision_is_refused(page: Page) -> None:
    number = page.decide(page.cells("lymphocyte"), "ig")["undo"]
    with pytest.raises(Refusal, match="only your last action"):
        Page(page.desk, page.key, AKI).post(action="undo", undoes=number)


def test_signature_under_something_else_than_was_shown_is_refused(page: Page) -> None:
    page.decide(page.cells("lymphocyte"), "ig")
    page.decide(page.cells(None), "other")
    page.decide(page.cells("neutrophil"))
    with pytest.raises(Refusal, match="has changed since it was shown"):
        page.sign(entry=2)


def test_person_who_did_not_look_cannot_sign_what_another_decided(
    page: Page, site: ReviewSite
) -> None:
    page.decide(page.cells(None), "ig")
    page.decide(page.cells())
    other = Page(page.desk, page.key, AKI)
    with pytest.raises(Refusal, match="5 cells you have not decided") as found:
        other.sign()
    assert found.value.code == "not_ready"
    assert not site.verifications.exists()


def test_image_that_changed_since_it_was_labelled_is_neither_shown_nor_signed(
    page: Page, site: ReviewSite
) -> None:
    page.decide(page.cells(None), "ig")
    page.decide(page.cells())
    image = site.export / "S1" / "slide-1" / "IMG0001.jpg"
    image.write_bytes(image.read_bytes() + b"x")
    with pytest.raises(Refusal, match="changed since it was labelled") as found:
        page.sign()
    assert found.value.code == "not_ready"
    assert answers_for_images(page) == ["image/jpeg"] * 4 + ["image_changed"]


def test_image_that_is_a_link_is_not_shown(page: Page, site: ReviewSite, tmp_path: Path) -> None:
    image = site.export / "S1" / "slide-1" / "IMG0001.jpg"
    secret = tmp_path / "secret.jpg"
    image.rename(secret)
    image.symlink_to(secret)
    assert answers_for_images(page) == ["gone"] + ["image/jpeg"] * 4


def test_notes_of_both_persons_are_in_the_verification(page: Page, site: ReviewSite) -> None:
    Page(page.desk, page.key, AKI).post(action="note", text="stain is pale")
    page.post(action="note", text="repeat smear")
    page.decide(page.cells(None), "ig")
    page.decide(page.cells())
    page.sign()
    (file,) = site.verifications.iterdir()
    found = verification_from_json(file.read_bytes())
    assert found.note == "Aki Kaurismäki: stain is pale; repeat smear"
