"""Whose an image is, and which slides are held for their ids or images."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from edge.results.manifest.manifest import read_manifest
from edge.results.slides.resolvers import Resolvers
from edge.text.path_template import PathTemplate
from tests.edge.results.slides.look import Lab
from tests.support.sidecar_cells import cell_of, rejected_of, slide_of

MIX = ["neutrophil"] * 60 + ["lymphocyte"] * 40


def write_manifest(folder: Path, *rows: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.csv"
    header = "path,sample_id,slide_id,cells,wbc,collected"
    path.write_text("".join(f"{line}\n" for line in (header, *rows)))
    return path


def test_slide_with_the_ids_of_its_sidecars_makes_a_result(lab: Lab) -> None:
    report = lab.look([*slide_of(lab.root, MIX), rejected_of(lab.root, "S1/slide-1/9.jpg")])
    (result,) = report.new
    assert (result.sample_id, result.slide_id, result.revision) == ("S1", "slide-1", 1)
    assert [c.percent for c in result.differential.classes] == [60, 0, 0, 40, 0, 0]
    assert result.rejected_images == ("S1/slide-1/9.jpg",)
    assert (report.held, report.incomplete, report.unidentified) == ((), (), ())


def test_images_without_ids_are_an_unidentified_sample_and_never_leave(lab: Lab) -> None:
    cells = slide_of(lab.root, MIX, ids=(None, None), folder="run7")  # type: ignore[arg-type]
    report = lab.look([*cells, cell_of(lab.root, "x.jpg", ids=(None, "slide-1"))])
    assert report.new == ()
    assert [(one.folder, one.images) for one in report.unidentified] == [(".", 1), ("run7", 100)]
    assert report.unidentified[0].reason == "no manifest and no path template names the sample"


def test_template_names_the_sample_of_sidecars_without_ids_alone(lab: Lab) -> None:
    template = PathTemplate.parse("{sample_id}/{slide_id}/**")
    old = [
        cell_of(lab.root, f"A1/x/{kind}/{n}.jpg", ids=(None, None))
        for kind in ("neutrophils", "others")
        for n in range(3)
    ]
    named = cell_of(lab.root, "A2/y/1.jpg", ids=("S9", None))
    report = lab.look([*old, named], Resolvers(template=template))
    assert [(r.sample_id, r.slide_id, len(r.cells)) for r in report.new] == [
        ("A1", "x", 6),
        ("S9", None, 1),
    ]


def test_manifest_comes_before_the_path(lab: Lab) -> None:
    write_manifest(lab.root, "run7,S000123,slide-2,100,7.3,2026-11-23T08:00:00+01:00")
    (result,) = lab.look(slide_of(lab.root, MIX, folder="run7")).new
    assert (result.sample_id, result.slide_id) == ("S000123", "slide-2")
    assert result.differential.wbc == 7.3
    assert result.differential.classes[0].absolute == pytest.approx(4.38)
    assert result.collected is not None


def test_manifest_without_slide_keeps_that_of_the_path(lab: Lab) -> None:
    write_manifest(lab.root, "run7,S000123,,,,")
    (result,) = lab.look(slide_of(lab.root, MIX, folder="run7/slide-1")).new
    assert (result.sample_id, result.slide_id) == ("S000123", "slide-1")


def test_manifests_of_several_folders_and_one_that_is_given(lab: Lab) -> None:
    write_manifest(lab.root / "day1" / "a", ".,S1,,,,")
    write_manifest(lab.root / "day1", "b/*.jpg,S2,,,,")
    given = write_manifest(lab.root / "elsewhere", "day1/a,X1,,,,", "day1/b,X2,,,,")
    cells = [
        cell_of(lab.root, f"day1/{name}/{n}.jpg", ids=(None, None)) for name in "ab" for n in (1, 2)
    ]
    assert [r.sample_id for r in lab.look(cells).new] == ["S1", "S2"]
    resolvers = Resolvers(given=read_manifest(given))
    assert [r.sample_id for r in lab.look(cells, resolvers).new] == ["X1", "X2"]


def test_manifest_beside_the_images_is_found_where_sidecars_are_in_a_tree_of_their_own(
    lab: Lab,
) -> None:
    write_manifest(lab.root / "images", "run7,S000123,,,,")
    cells = slide_of(lab.root / "results", MIX, folder="run7")
    (result,) = lab.look(cells, Resolvers(images=lab.root / "images")).new
    assert result.sample_id == "S000123"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (("run7,S1,,,,", "run7/0000.jpg,S2,,,,"), "rows 2 and 3 of the manifest name different"),
        (("run7,S1,,100,,", "run7,S1,,99,,"), "rows 2 and 3 of the manifest differ in cells"),
        (("run7,S1,,,7.3,", "run7,S1,,,8.1,"), "rows 2 and 3 of the manifest differ in wbc"),
        (("run7,S1,,,7300,",), "row 2 of the manifest has no 10^9 per litre"),
        (("run7,S1,,99,,",), "100 images are there, the manifest expects 99"),
        (("run7,S1,,,,2027-01-01T00:00:00Z",), "collected in the future"),
        (("run7,S1 ,,,,",), "its sample id begins or ends with a space"),
    ],
)
def test_slide_of_a_manifest_that_contradicts_is_held_and_the_others_leave(
    lab: Lab, rows: tuple[str, ...], reason: str
) -> None:
    write_manifest(lab.root, *rows, "run8,S8,,,,")
    cells = slide_of(lab.root, MIX, folder="run7") + slide_of(lab.root, MIX, folder="run8")
    report = lab.look(cells)
    assert [r.sample_id for r in report.new] == ["S8"]
    assert all(reason in one.reason for one in report.held[:1])
    assert report.held
    assert sum(one.images for one in report.held) == 100


def test_manifest_that_cannot_be_read_holds_all_below_it(lab: Lab) -> None:
    write_manifest(lab.root / "a", "x").write_bytes(b"\xff\xfe\x00")
    cells = slide_of(lab.root, MIX, folder="a/S1") + slide_of(
        lab.root, MIX, folder="b/S2", ids=("S2", None)
    )
    nameless = cell_of(lab.root, "a/x/1.jpg", ids=(None, None))
    report = lab.look([*cells, nameless])
    assert [r.sample_id for r in report.new] == ["S2"]
    assert "manifest.csv is not UTF-8" in report.held[0].reason
    assert "manifest.csv is not UTF-8" in report.unidentified[0].reason


def test_manifest_rows_without_images_and_repeated_rows_are_told_in_a_line_each(lab: Lab) -> None:
    write_manifest(lab.root, "run7,S1,,,,", "run7/,S1,,,,", "run8,S2,,,,", "run9,S3,,,,")
    report = lab.look(slide_of(lab.root, MIX, folder="run7"))
    assert len(report.new) == 1
    assert [note.text for note in report.notes] == [
        "row 3 of manifest.csv says the same as one before it",
        "2 rows of the manifest without an image: 4, 5",
    ]


def test_manifest_row_of_a_missing_image_makes_its_slide_wait(lab: Lab) -> None:
    rows = [f"run7/{n:04}.jpg,S1,slide-1,,," for n in range(5)]
    write_manifest(lab.root, *rows)
    report = lab.look(slide_of(lab.root, ["ig"] * 4, folder="run7"))
    assert report.new == ()
    assert report.incomplete[0].reason == (
        "1 image that the manifest names: not there, or without a sidecar"
    )
    assert len(lab.look(slide_of(lab.root, ["ig"] * 5, folder="run7")).new) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("day1/S1/slide-1", "day2/S1/slide-1"),
        ("S1/slide-1", "S1/slide-1 copy"),
        ("a", "b"),
        (".", "S1/slide-1"),
    ],
)
def test_one_id_in_two_folders_is_held(lab: Lab, one: str, other: str) -> None:
    cells = [
        cell_of(lab.root, f"{folder}/{n}.jpg".removeprefix("./"))
        for folder in (one, other)
        for n in range(3)
    ]
    report = lab.look(cells)
    assert report.new == ()
    (held,) = report.held
    assert held.reason == "its id is in 2 folders; give each slide its own id"
    assert (held.sample_id, held.slide_id, held.images) == ("S1", "slide-1", 6)


def test_one_id_below_two_watch_folders_is_held(lab: Lab) -> None:
    cells = [cell_of(lab.root / name, f"S1/slide-1/{name}.jpg") for name in ("left", "right")]
    assert "2 folders" in lab.look(cells).held[0].reason


def test_class_folders_below_a_slide_are_one_folder(lab: Lab) -> None:
    cells = [cell_of(lab.root, f"S1/slide-1/{kind}/1.jpg") for kind in ("NEU", "LYM", "a/b")]
    assert len(lab.look(cells).new) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Müller", None), (unicodedata.normalize("NFD", "Müller"), None)),
        (("s1", None), ("S1", None)),
        (("S1", "a"), ("S1", "A")),
        (("S1", "\u212b"), ("S1", "\u00c5")),
    ],
)
def test_ids_that_a_lis_may_take_for_one_are_held(
    lab: Lab, one: tuple[str, str | None], other: tuple[str, str | None]
) -> None:
    cells = slide_of(lab.root, MIX, ids=one, folder="one") + slide_of(
        lab.root, MIX, ids=other, folder="other"
    )
    report = lab.look([*cells, *slide_of(lab.root, MIX, ids=("good", None), folder="good")])
    assert [r.sample_id for r in report.new] == ["good"]
    assert len(report.held) == 2
    assert all("a LIS may take its" in held.reason for held in report.held)


def test_id_that_a_lis_may_take_for_an_issued_one_is_held(lab: Lab) -> None:
    lab.issue(slide_of(lab.root, MIX, ids=("s1", None), folder="one"))
    report = lab.look(slide_of(lab.root, MIX, ids=("S1", None), folder="other"))
    assert report.new == ()
    assert "a LIS may take its sample id for an issued one" in report.held[0].reason


@pytest.mark.parametrize(("issued", "later"), [("a", "A"), ("\u00c5", "\u212b"), ("a b", "a  b")])
def test_slide_id_that_a_lis_may_take_for_an_issued_one_is_held(
    lab: Lab, issued: str, later: str
) -> None:
    lab.takes_several_slides = True
    first = slide_of(lab.root, MIX, ids=("S1", issued), folder="one")
    result = lab.issue(first)
    assert lab.look(first).standing == (result,)
    # The images of the first are gone.
    report = lab.look(slide_of(lab.root, MIX, ids=("S1", later), folder="other"))
    assert report.new == ()
    assert "a LIS may take its slide id for an issued one" in report.held[0].reason
    third = slide_of(lab.root, MIX, ids=("S1", "third"), folder="third")
    assert [one.slide_id for one in lab.look(third).new] == ["third"]


@pytest.mark.parametrize("sample", ["S\x001", "S1\n", " S1", "", "S\u200b1", "\\xff1"])
def test_id_that_no_lis_can_take_is_held_unaltered(lab: Lab, sample: str) -> None:
    report = lab.look(slide_of(lab.root, MIX, ids=(sample, None), folder="x"))
    assert report.new == ()
    assert report.held[0].sample_id == sample
    assert "\n" not in report.held[0].reason


def test_image_in_two_slides_holds_both(lab: Lab) -> None:
    one = slide_of(lab.root, MIX, ids=("S1", None), folder="S1")
    other = slide_of(lab.root, MIX, ids=("S2", None), folder="S2")
    other[7] = replace(other[7], sha256=one[3].sha256)
    report = lab.look([*one, *other])
    assert report.new == ()
    assert [held.sample_id for held in report.held] == ["S1", "S2"]
    assert all("also in another slide" in held.reason for held in report.held)
    assert all("remove the sidecars of its old name" in held.reason for held in report.held)


def test_image_twice_in_a_slide_is_counted_once_and_told(lab: Lab) -> None:
    cells = slide_of(lab.root, MIX)
    cells.append(cell_of(lab.root, "S1/slide-1/copy.jpg", sha256=cells[0].sha256))
    report = lab.look(cells)
    assert report.new[0].differential.leukocytes == 100
    assert [note.text for note in report.notes] == ["1 image not counted: copies of others"]


def test_copies_of_a_rejected_image_are_counted_once_and_told(lab: Lab) -> None:
    (lab.root / "manifest.csv").write_text("path,sample_id,cells\nS1/slide-1,S1,102\n")
    broken = rejected_of(lab.root, "S1/slide-1/x1.jpg")
    copy = replace(broken, file="x2.jpg")
    cells = slide_of(lab.root, MIX)
    # The service may have labelled a copy of an image that it rejected at first.
    late = replace(broken, file="x3.jpg", sha256=cells[0].sha256)
    empty = [replace(broken, file=f"{name}.jpg", sha256="e" * 64, reason="empty") for name in "yz"]
    report = lab.look([*cells, broken, copy, late])
    assert len(report.incomplete) == 1
    (result,) = lab.look([*cells, broken, copy, late, empty[0]]).new
    assert result.rejected_images == ("S1/slide-1/x1.jpg", "S1/slide-1/y.jpg")
    assert result.differential.rejected == 2
    (lab.root / "manifest.csv").unlink()
    report = lab.look([*cells, broken, copy, *empty])
    assert report.new[0].differential.rejected == 3
    assert [note.text for note in report.notes] == ["1 image not counted: copies of others"]


def test_label_of_another_model_is_held(lab: Lab) -> None:
    report = lab.look(slide_of(lab.root, [*MIX, "blast"]))
    assert report.new == ()
    assert "'blast'" in report.held[0].reason


def test_cell_from_the_future_is_held(lab: Lab) -> None:
    cells = slide_of(lab.root, MIX, created=lab.now + timedelta(hours=1))
    assert "in the future" in lab.look(cells).held[0].reason


def test_cells_issued_under_another_id_are_held_until_a_person_has_verified_them(lab: Lab) -> None:
    lab.issue(slide_of(lab.root, MIX, ids=("S1", None), folder="run7"))
    moved = slide_of(lab.root, MIX, ids=("S2", None), folder="run7")
    report = lab.look(moved)
    assert report.new == ()
    assert "issued under another id" in report.held[0].reason
    lab.verify(moved, revision=0)
    assert lab.issue(moved).verification is not None


def test_slide_without_a_cell_is_held(lab: Lab) -> None:
    report = lab.look([rejected_of(lab.root, "S1/slide-1/1.jpg")])
    assert report.held[0].reason == "no image of it holds a cell"
