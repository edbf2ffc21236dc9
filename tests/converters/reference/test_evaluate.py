"""The figures of an evaluation, from answers given by hand and from whole bundles."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from converters.reference.cli import main
from tests.support.images import Jpeg


@pytest.fixture
def colours(tmp_path: Path, colour_jpeg: Jpeg) -> Path:
    """Twelve images: one green lies among the red, one is cut off, one class is unknown."""
    root = tmp_path / "colours"
    for number, name in enumerate(("red", "green", "blue") * 3):
        write(root / name / f"{number}.jpg", colour_jpeg(name, seed=number))
    write(root / "red" / "odd.jpg", colour_jpeg("green", seed=77))
    write(root / "blue" / "cut.jpg", colour_jpeg("blue", seed=78)[:-400])
    write(root / "red" / "._0.jpg", b"resource fork")
    write(root / "violet" / "0.jpg", colour_jpeg("red", seed=79))
    return root


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def run(*words: object) -> int:
    return main(["evaluate", *map(str, words)])


def test_evaluate_folder_prints_figures_and_names_what_it_left_out(
    small_bundle: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--bundle", small_bundle, "--folder", colours) == 0
    said = capsys.readouterr().out
    assert "colours 1 on 11 images of" in said
    assert "left out: violet: 1 image; the bundle has no such class (it has red" in said
    assert "no image of" not in said
    assert "9/11 81.8 (48.2 to 97.7)" in said
    assert "cut.jpg: " in said
    assert "kind" not in said
    assert "capture" not in said


def test_evaluate_folder_follows_links_and_says_what_else_lies_there(
    small_bundle: Path,
    colours: Path,
    tmp_path: Path,
    colour_jpeg: Jpeg,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (colours / "red").rename(tmp_path / "moved")
    (colours / "red").symlink_to(tmp_path / "moved")
    write(colours / "green" / "slide1" / "more.JPG", colour_jpeg("green", seed=80))
    write(colours / "green" / "scan.bmp", b"BM")
    write(colours / "loose.jpg", colour_jpeg("red", seed=81))
    assert run("--bundle", small_bundle, "--folder", colours) == 0
    said = capsys.readouterr().out
    assert "colours 1 on 12 images of" in said
    assert "left out: 1 image of kinds that are not read (.bmp 1)" in said
    assert "left out: 1 hidden or system file" in said
    assert "left out: 1 image beside the class folders, without a class" in said


def test_evaluate_folder_with_a_linked_class_that_is_gone_says_so(
    small_bundle: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(colours / "red")
    (colours / "red").symlink_to("moved")
    assert run("--bundle", small_bundle, "--folder", colours) == 2
    assert "red is a broken link: its target moved does not exist" in capsys.readouterr().err


def test_evaluate_writes_every_figure_and_pictures_of_what_is_wrong(
    small_bundle: Path, colours: Path, tmp_path: Path
) -> None:
    words = ("--json", tmp_path / "figures.json", "--wrong", tmp_path / "wrong")
    assert run("--bundle", small_bundle, "--folder", colours, *words) == 0
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["schema"] == "edge-evaluation/1"
    assert found["groups"]["all"]["int8"]["accuracy"]["count"] == 9
    assert found["groups"]["all"]["int8"]["per_class"]["red"]["total"] == 4
    assert found["paired_with_fp32"]["all"]["int8"] == {
        "both_right": 9,
        "lost": 0,
        "won": 0,
        "neither": 2,
        "p_value": 1.0,
    }
    by_file = {image["file"]: image for image in found["images"]}
    assert by_file["red/odd.jpg"]["answers"]["fp32"]["class"] == "green"
    assert by_file["blue/cut.jpg"]["answers"]["fp32"]["class"] is None
    assert [page.name for page in (tmp_path / "wrong").iterdir()] == ["wrong-001.png"]


def test_evaluate_manifest_gives_its_kinds_and_captures(
    small_bundle: Path, colours: Path, tmp_path: Path
) -> None:
    rows = [
        "file,split,class,kind,capture",
        "red/0.jpg,test, Red,native,dm96",
        "green/1.jpg,test,green,native,other_export",
        "red/odd.jpg,test,red,denoised224,",
        "violet/0.jpg,test,violet,native,dm96",
        "blue/2.jpg,val,blue,native,dm96",
    ]
    (colours / "manifest.csv").write_text("\n".join(rows))
    out = tmp_path / "figures.json"
    assert run("--bundle", small_bundle, "--data", colours, "--json", out) == 0
    found = json.loads(out.read_text())
    assert found["left_out"] == [
        "violet: 1 image; the bundle has no such class (it has red, green, blue)"
    ]
    assert found["classes_without_images"] == ["blue"]
    counts = {name: g["fp32"]["accuracy"]["count"] for name, g in found["groups"].items()}
    assert counts == {
        "all": 2,
        "kind denoised224": 0,
        "kind native": 2,
        "capture dm96": 1,
        "capture other_export": 1,
    }


@pytest.mark.parametrize("again", ["red/0.jpg,test,green", "./red/0.jpg,train,red"])
def test_evaluate_manifest_that_lists_an_image_twice_is_refused(
    small_bundle: Path, colours: Path, capsys: pytest.CaptureFixture[str], again: str
) -> None:
    rows = ["file,split,class", "red/0.jpg,test,red", "green/1.jpg,test,green", again]
    (colours / "manifest.csv").write_text("\n".join(rows))
    assert run("--bundle", small_bundle, "--data", colours) == 2
    assert "red/0.jpg twice (test, red and t" in capsys.readouterr().err


def test_evaluate_without_a_wrong_image_makes_no_folder_for_pictures(
    small_bundle: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (colours / "red" / "odd.jpg").unlink()
    (colours / "blue" / "cut.jpg").unlink()
    assert run("--bundle", small_bundle, "--folder", colours, "--wrong", tmp_path / "wrong") == 0
    assert "no graph gets an image wrong; no pictures were written" in capsys.readouterr().out
    assert not (tmp_path / "wrong").exists()


def test_evaluate_manifest_leaves_out_a_picture_with_two_labels(
    small_bundle: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (colours / "blue" / "twice.jpg").write_bytes((colours / "red" / "0.jpg").read_bytes())
    names = ("red/0.jpg", "blue/twice.jpg", "blue/2.jpg", "green/1.jpg")
    rows = ["file,split,class", *(f"{name},test,{Path(name).parent}" for name in names)]
    (colours / "manifest.csv").write_text("\n".join(rows))
    assert run("--bundle", small_bundle, "--data", colours) == 0
    said = capsys.readouterr().out
    assert "on 2 images of" in said
    assert "left out: red/0.jpg and blue/twice.jpg are the same image" in said
    assert "no image of: red; nothing is known of these classes" in said


def test_evaluate_images_none_of_which_can_be_read_is_an_error(
    small_bundle: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in colours.rglob("*.jpg"):
        path.write_bytes(b"")
    # Files with the same bytes in two classes would be left out as contradictory.
    shutil.rmtree(colours / "red")
    shutil.rmtree(colours / "green")
    words = ("--json", tmp_path / "figures.json")
    assert run("--bundle", small_bundle, "--folder", colours, *words) == 2
    heard = capsys.readouterr()
    assert "rejected, counted as wrong: 4" in heard.out
    assert "of 4 images none could be labelled (the first, " in heard.err
    assert not (tmp_path / "figures.json").exists()


def test_evaluate_shows_names_of_strangers_with_escapes(
    small_bundle: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (colours / "violet").rename(colours / "vio\x1b[2Jlet")
    (colours / "blue" / "cut.jpg").rename(colours / "blue" / "cut\udce9\x1b[2J.jpg")
    assert run("--bundle", small_bundle, "--folder", colours) == 0
    said = capsys.readouterr().out
    assert "left out: vio\\x1b[2Jlet: 1 image" in said
    assert "cut\\xe9\\x1b[2J.jpg: " in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(
            ("--graphs", "int4"), "no graph 'int4'; give all or some of fp32, int8", id="g"
        ),
        pytest.param(("--threads", "0"), "--threads is 0; give 1 to", id="threads"),
        pytest.param(("--wrong", "{colours}"), "not an empty folder; give another", id="full"),
        pytest.param(("--json", "{colours}/a.json"), "is inside what is evaluated", id="inside"),
        pytest.param(("--json", "{colours}/.."), "--json:", id="folder"),
        pytest.param(("--json", "/missing/x.json"), "/missing is no folder; make it", id="json"),
    ],
)
def test_evaluate_with_wrong_words_labels_nothing_and_says_what_to_do(
    small_bundle: Path,
    colours: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    given = [word.format(colours=colours) for word in words]
    assert run("--bundle", small_bundle, "--folder", colours, *given) == 2
    heard = capsys.readouterr()
    assert said in heard.err
    assert not heard.out


def test_evaluate_folder_of_other_classes_says_what_is_there(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cells" / "monocyte").mkdir(parents=True)
    assert run("--bundle", small_bundle, "--folder", tmp_path / "cells") == 2
    assert "found: monocyte; known: red, green, blue" in capsys.readouterr().err


def test_evaluate_picture_with_two_labels_is_left_out_and_named(
    small_bundle: Path, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (colours / "blue" / "twice.jpg").write_bytes((colours / "red" / "0.jpg").read_bytes())
    assert run("--bundle", small_bundle, "--folder", colours) == 0
    said = capsys.readouterr().out
    assert "on 10 images" in said
    assert "left out: red/0.jpg and blue/twice.jpg are the same image" in said
