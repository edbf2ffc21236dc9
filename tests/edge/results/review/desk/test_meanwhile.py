"""What happens between a person's look at a slide and the decision or signature about it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from edge.errors import StorageError
from edge.results.document.result import State
from edge.results.review.desk.signing import write_signature
from edge.results.review.record.entry import Action
from edge.results.review.record.record import Record
from edge.results.review.refusal import Refusal
from edge.results.verification.folder import write_verification
from edge.results.verification.verification_file import VerificationFile
from edge.sidecar import now
from tests.edge.results.review.desk.test_signing import CELLS, laboratory
from tests.support.review_entries import draft
from tests.support.review_site import AKI, CellSpec, ReviewSite

IDS = {"sample_id": "S1", "slide_id": "slide-1"}


@pytest.fixture
def slide(site: ReviewSite) -> ReviewSite:
    site.add_slide("S1", CELLS)
    return site


def test_decision_about_an_image_that_was_replaced_is_refused(slide: ReviewSite) -> None:
    with laboratory(slide) as lab:
        shown = lab.mina.cells()
        spec = CellSpec("neutrophil", drawn="lymphocyte")
        slide.add_image("S1/slide-1/IMG0001.jpg", spec, **IDS, version=2)
        # The list of another tab looks at the folders.
        lab.aki.slide()
        with pytest.raises(Refusal, match="cells of this slide have changed"):
            lab.mina.decide(shown)
        assert lab.mina.slide()["slide"]["open"] == len(CELLS)


def test_signature_under_another_leukocyte_count_than_was_shown_is_refused(
    slide: ReviewSite,
) -> None:
    manifest = slide.export / "manifest.csv"
    manifest.write_text("path,sample_id,slide_id,wbc\nS1/slide-1,S1,slide-1,7.3\n")
    with laboratory(slide) as lab:
        lab.mina.decide(lab.mina.cells())
        shown = lab.desk.differential_job(lab.mina.person, lab.mina.key)()
        assert shown["wbc"] == 7.3
        manifest.write_text("path,sample_id,slide_id,wbc\nS1/slide-1,S1,slide-1,73\n")
        lab.mina.slide()
        with pytest.raises(Refusal, match="not the one that was shown"):
            lab.mina.sign(shown=shown["digest"])
        assert lab.stage() == "begun"
        lab.mina.sign()
        assert lab.issue().differential.wbc == 73


def test_signature_beside_a_verification_of_another_program_is_refused(slide: ReviewSite) -> None:
    with laboratory(slide) as lab:
        first = lab.issue()
        lab.mina.decide(lab.mina.cells())
        labels = {cell.sha256: "monocyte" for cell in first.cells}
        word = VerificationFile("S1", "slide-1", first.revision, AKI, now(), labels)
        write_verification(slide.verifications, word)
        with pytest.raises(Refusal, match="Aki Kaurismäki has verified it otherwise"):
            lab.mina.sign()
        assert lab.issue().state is State.FINAL
        lab.mina.decide(lab.mina.cells("monocyte")[:1], "ig")
        lab.mina.decide(lab.mina.cells())
        lab.mina.sign("one is immature")
        assert lab.issue().state is State.CORRECTED


def test_verification_of_another_program_counts_although_the_records_clock_was_ahead(
    slide: ReviewSite,
) -> None:
    # Every later entry gets a later time.
    with Record.open(slide.state, clock=lambda: now() + timedelta(days=1)) as record:
        record.append(draft())
    with laboratory(slide) as lab:
        lab.mina.decide(lab.mina.cells())
        lab.mina.sign()
        first = lab.issue()
        labels = {cell.sha256: "monocyte" for cell in first.cells}
        word = VerificationFile("S1", "slide-1", first.revision, AKI, now(), labels, reason="x")
        write_verification(slide.verifications, word)
        assert lab.issue().state is State.CORRECTED
        found = lab.mina.slide()
        assert {cell["label"] for cell in found["cells"]} == {"monocyte"}
        assert (found["slide"]["signed"]["by"]["id"], found["signature"]) == (AKI.id, None)
        lab.mina.decide(lab.mina.cells()[:1], "ig")
        assert lab.mina.slide()["slide"]["open"] == len(CELLS) - 1


def test_signature_whose_file_cannot_be_written_says_so_and_is_written_later(
    site: ReviewSite, tmp_path: Path
) -> None:
    place = tmp_path / "share" / "verifications"
    site.more = {"verifications": str(place)}
    site.add_slide("S1", CELLS)
    # A link to nowhere: an empty folder to read, and none to write.
    place.parent.symlink_to("nowhere")
    with laboratory(site) as lab:
        lab.mina.decide(lab.mina.cells())
        row = lab.mina.sign()["slide"]
        assert (row["stage"], "not written" in row["text"]) == ("signed", True)
        assert lab.issue().state is State.PRELIMINARY
        assert "not written" in lab.mina.slide()["slide"]["text"]
        place.parent.unlink()
        assert lab.mina.slide()["slide"]["text"] is None
        assert lab.issue().state is State.FINAL
    assert len(list(place.iterdir())) == 1


def test_signature_that_two_pages_find_open_is_noted_as_written_once(slide: ReviewSite) -> None:
    with laboratory(slide) as lab, Record.open(slide.state) as record:
        lab.mina.decide(lab.mina.cells())
        lab.mina.sign()
        (signed,) = record.signatures()
        write_signature(record, signed, slide.verifications)
        actions = [one.action for one in record.all()]
    assert actions == [Action.DECIDE, Action.SIGN, Action.WRITTEN]


def test_notes_that_no_result_can_take_are_refused_when_they_are_written(slide: ReviewSite) -> None:
    with laboratory(slide) as lab:
        lab.mina.decide(lab.mina.cells())
        for _ in range(8):
            lab.aki.post(action="note", text="n" * 2000)
        with pytest.raises(Refusal, match="no more go with a result"):
            lab.mina.post(action="note", text="n" * 2000)
        assert lab.mina.sign()["slide"]["stage"] == "signed"


def test_decision_after_the_record_was_restored_from_a_backup_is_not_answered_as_recorded(
    slide: ReviewSite,
) -> None:
    path = slide.state / "reviews.sqlite3"
    with laboratory(slide) as lab:
        backup = path.read_bytes()
        path.rename(path.with_suffix(".old"))
        path.write_bytes(backup)
        with pytest.raises(StorageError, match="removed or replaced while it was in use"):
            lab.mina.decide(lab.mina.cells())
    with Record.open(slide.state) as record:
        assert record.head()[0] == 0
