"""When a slide is complete."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.slides.completeness import Completeness
from edge.results.slides.resolvers import Resolvers
from tests.edge.results.slides.look import Lab
from tests.support.sidecar_cells import cell_of, rejected_of, slide_of
from tests.support.slide_results import PERSON, START

CELLS = ["neutrophil"] * 4


def waits_for(lab: Lab, labels: list[str | None] | None = None) -> str | None:
    report = lab.look(slide_of(lab.root, labels or CELLS))
    assert len(report.new) + len(report.incomplete) == 1
    return report.incomplete[0].reason if report.incomplete else None


@pytest.fixture
def early(lab: Lab) -> Lab:
    lab.now = START + timedelta(seconds=90)
    return lab


def test_slide_is_complete_after_quiet_time(early: Lab) -> None:
    assert waits_for(early) == (
        "the file slide.done or 600 s without a new image (90 s now) or an operator's word"
    )
    early.now = START + timedelta(seconds=600)
    assert waits_for(early) is None


def test_slide_without_quiet_time_is_never_complete_by_time(lab: Lab) -> None:
    lab.completeness = Completeness(quiet_s=None)
    lab.now = START + timedelta(days=365)
    assert waits_for(lab) == "the file slide.done or an operator's word"
    lab.completeness = Completeness(quiet_s=None, marker=None)
    assert waits_for(lab) == "an operator's word"


@pytest.mark.parametrize("name", ["slide.done", "FERTIG.txt"])
def test_slide_with_its_marker_file_is_complete(early: Lab, name: str) -> None:
    early.completeness = Completeness(marker=name)
    folder = early.root / "S1" / "slide-1"
    folder.mkdir(parents=True)
    (folder / f"{name}.tmp").touch()
    (folder.parent / name).touch()
    assert waits_for(early) is not None
    (folder / name).touch()
    assert waits_for(early) is None


def test_number_in_a_manifest_decides_alone(lab: Lab) -> None:
    folder = lab.root / "S1" / "slide-1"
    folder.mkdir(parents=True)
    (folder / "slide.done").touch()
    (lab.root / "manifest.csv").write_text("path,sample_id,cells\nS1/slide-1,S1,5\n")
    assert waits_for(lab) == "more images: 4 of 5 are there"
    lab.now = START
    cells = [*slide_of(lab.root, CELLS), rejected_of(lab.root, "S1/slide-1/9.jpg")]
    assert len(lab.look(cells).new) == 1


def test_copy_of_an_image_does_not_complete_a_slide(lab: Lab) -> None:
    (lab.root / "manifest.csv").write_text("path,sample_id,cells\nS1/slide-1,S1,5\n")
    cells = slide_of(lab.root, CELLS)
    copy = cell_of(lab.root, "S1/slide-1/copy.jpg", sha256=cells[0].sha256)
    report = lab.look([*cells, copy])
    assert report.new == ()
    assert report.incomplete[0].reason == "more images: 4 of 5 are there, copies not counted"
    fifth = cell_of(lab.root, "S1/slide-1/9.jpg")
    # Nor does it make the slide have too many.
    assert len(lab.look([*cells, copy, fifth]).new) == 1


def test_files_without_content_are_not_copies_of_one_image(lab: Lab) -> None:
    (lab.root / "manifest.csv").write_text("path,sample_id,cells\nS1/slide-1,S1,6\n")
    empty = [
        replace(rejected_of(lab.root, f"S1/slide-1/{n}.jpg"), sha256="0" * 64, reason="empty")
        for n in (8, 9)
    ]
    assert len(lab.look([*slide_of(lab.root, CELLS), *empty]).new) == 1


def test_operator_s_word_is_enough(early: Lab) -> None:
    (early.root / "manifest.csv").write_text("path,sample_id,cells\nS1/slide-1,S1,5\n")
    so_far = early.look(slide_of(early.root, CELLS)).incomplete[0].so_far
    assert so_far.differential.leukocytes == 4
    assert so_far.differential.errors_from == "none: the slide is not complete"
    early.issued.say_complete(so_far.slide_key, by=PERSON.id, at=early.now)
    assert waits_for(early) is None


def test_image_without_a_sidecar_makes_its_slide_wait(lab: Lab) -> None:
    folder = lab.root / "S1" / "slide-1"
    folder.mkdir(parents=True)
    for name in ("0000.jpg", "0003.jpg", ".0009.jpg", "0009.jpg.json", "Thumbs.db", "notes.txt"):
        (folder / name).touch()
    assert waits_for(lab) is None
    (folder / "0004.JPG").touch()
    assert waits_for(lab) == "1 image in its folder without a sidecar"


def by_class(lab: Lab) -> list[SidecarCell]:
    return [
        *slide_of(lab.root, CELLS, folder="S1/slide-1/neutrophil"),
        *slide_of(lab.root, ["lymphocyte"], folder="S1/slide-1/lymphocyte"),
    ]


def test_image_without_a_sidecar_in_another_class_s_folder_makes_its_slide_wait(lab: Lab) -> None:
    (lab.root / "S1" / "slide-1" / "ig").mkdir(parents=True)
    assert len(lab.look(by_class(lab)).new) == 1
    (lab.root / "S1" / "slide-1" / "ig" / "0000.jpg").touch()
    report = lab.look(by_class(lab))
    assert report.new == ()
    assert report.incomplete[0].reason == "1 image in its folder without a sidecar"


@pytest.mark.parametrize("images", [None, "export"])
def test_unread_sidecar_in_another_class_s_folder_makes_its_slide_wait(
    lab: Lab, images: str | None
) -> None:
    resolvers = Resolvers(images=lab.root / images if images else None)
    torn = lab.root / "S1" / "slide-1" / "ig" / "0000.jpg.json"
    report = lab.look(by_class(lab), resolvers, unread=[torn])
    assert report.new == ()
    assert report.incomplete[0].reason == "1 sidecar of its folder that cannot be read"


def test_slides_whose_images_share_a_folder_do_not_wait_for_one_another(lab: Lab) -> None:
    cells = [
        cell_of(lab.root, f"all/{sample}-{n}.jpg", ids=(sample, None))
        for sample in ("S1", "S2")
        for n in range(3)
    ]
    (lab.root / "all" / "later").mkdir(parents=True)
    for name in (*(cell.file for cell in cells), "later/x.jpg"):
        (lab.root / "all" / name).touch()
    assert [result.sample_id for result in lab.look(cells).new] == ["S1", "S2"]
    (lab.root / "all" / "S3-0.jpg").touch()
    assert lab.look(cells).new == ()


def test_sidecar_that_cannot_be_read_makes_its_slide_wait(lab: Lab) -> None:
    cells = slide_of(lab.root, CELLS)
    torn = lab.root / "S1" / "slide-1" / "0009.jpg.json"
    report = lab.look(cells, unread=[torn, lab.root / "other" / "1.jpg.json"])
    assert report.new == ()
    assert report.incomplete[0].reason == "1 sidecar of its folder that cannot be read"


def test_late_cells_wait_a_minute_for_more(lab: Lab) -> None:
    cells = slide_of(lab.root, CELLS)
    (lab.root / "S1" / "slide-1").mkdir(parents=True)
    (lab.root / "S1" / "slide-1" / "slide.done").touch()
    first = lab.issue(cells)
    late = replace(slide_of(lab.root, [*CELLS, "ig"])[-1], created=lab.now)
    lab.now += timedelta(seconds=59)
    report = lab.look([*cells, late])
    assert (report.new, report.standing) == ((), (first,))
    assert report.incomplete[0].reason == "late cells are still coming"
    lab.now += timedelta(seconds=1)
    assert lab.issue([*cells, late]).revision == 2
