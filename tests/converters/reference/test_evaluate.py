"""The figures of an evaluation, from answers given by hand and from whole bundles."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from converters.reference.cli import main
from converters.reference.data.class_folders import LabelledFile
from converters.reference.evaluation.contact_sheet import (
    COLUMNS,
    SIDE_PX,
    contact_sheets,
    wrong_images,
)
from converters.reference.evaluation.evaluate import REJECTED, Answers, Judgement, Paired, evaluate
from converters.reference.evaluation.fields import evaluation_fields
from converters.reference.evaluation.graphs import choose_graphs, open_graph
from converters.reference.evaluation.images import EvaluationImages
from converters.reference.evaluation.text import evaluation_text
from edge.backends.onnx import OnnxSession, open_onnx
from edge.bundle import load_bundle
from edge.errors import ConfigError
from tests.support.engine_bundle import add_tensorrt_graphs, write_manifest
from tests.support.images import Jpeg

CLASSES = ("red", "green")


def judgement() -> Judgement:
    """Ten images: FP32 is right on seven; INT8 loses two of them and wins one; one is rejected."""
    fp32 = [0, 0, 0, 0, 1, REJECTED, 1, 1, 1, 0]
    int8 = [0, 0, 1, 0, 0, REJECTED, 1, 0, 1, 0]
    kinds = [("native", "dm96")] * 6 + [("native", "other_export")] * 2 + [("denoised224", "")] * 2
    return Judgement(
        classes=CLASSES,
        files=tuple(
            LabelledFile(Path(f"/set/{CLASSES[i > 5]}/{i}.jpg"), CLASSES[i > 5], *kind)
            for i, kind in enumerate(kinds)
        ),
        labels=np.array([0] * 6 + [1] * 4),
        answers={name: answers(given) for name, given in (("fp32", fp32), ("int8", int8))},
        rejected={5: "the file is empty"},
    )


def answers(predicted: list[int]) -> Answers:
    confidence = [0.0 if p == REJECTED else 0.4 if i == 4 else 0.9 for i, p in enumerate(predicted)]
    return Answers(np.array(predicted), np.array(confidence))


def test_judgement_groups_are_all_kinds_and_captures_that_are_known() -> None:
    sizes = {name: int(group.sum()) for name, group in judgement().groups().items()}
    assert sizes == {
        "all": 10,
        "kind denoised224": 2,
        "kind native": 8,
        "capture dm96": 6,
        "capture other_export": 2,
    }


def test_judgement_counts_right_labels_of_a_group_and_of_a_class() -> None:
    found = judgement()
    groups = found.groups()
    assert str(found.accuracy("fp32", groups["all"])).startswith("70.0% (7 of 10, 95 % 34.8%")
    green = found.accuracy("int8", groups["kind native"], 1)
    assert (green.count, green.total) == (1, 2)


def test_judgement_rejected_image_is_wrong_and_has_a_column_of_its_own() -> None:
    found = judgement()
    assert found.confusion("fp32", found.groups()["all"]) == [[4, 1, 1], [1, 3, 0]]


def test_judgement_pairs_lost_and_won_images_with_mcnemars_exact_p() -> None:
    found = judgement()
    everything = found.groups()["all"]
    assert found.paired("fp32", "int8", everything) == Paired(both=5, lost=2, won=1, neither=2)
    assert found.paired("fp32", "int8", everything).p_value == 1.0
    assert Paired(both=0, lost=49, won=2, neither=0).p_value == pytest.approx(1.18e-12, rel=0.01)


def test_judgement_calibration_error_leaves_out_what_has_no_confidence() -> None:
    found = judgement()
    error = found.calibration_error("fp32", found.groups()["all"])
    assert error is not None
    # Nine images in nine bins: |0.9 - 1| of seven right ones, 0.4 and 0.9 of the two wrong ones.
    assert error.value == pytest.approx((7 * 0.1 + 0.4 + 0.9) / 9)
    none = np.arange(10) == 5
    assert found.calibration_error("fp32", none) is None


def test_judgement_identified_counts_what_reaches_the_limit() -> None:
    found = judgement()
    share = found.identified("fp32", found.groups()["all"], 0.5)
    assert (share.count, share.total) == (7, 8)


def test_evaluation_text_shows_kinds_captures_pairs_and_what_was_rejected() -> None:
    text = evaluation_text(judgement(), 0.5)
    assert "kind native, 8 images: right/all, percent (95 % interval)" in text
    assert "capture other_export, 2 images" in text
    assert "all, int8: both right 5, lost 2, won 1, neither 2, p = 1" in text
    assert "confusion, int8, kind native" in text
    assert "/set/red/5.jpg: the file is empty" in text


def test_evaluation_text_says_once_what_all_images_share_and_their_sum_last() -> None:
    text = evaluation_text(judgement(), 0.5)
    heads = [line for line in text.splitlines() if ": right/all" in line]
    order = ["kind native", "kind denoised224", "capture dm96", "capture other_export", "all"]
    assert [head.partition(",")[0] for head in heads] == order
    found = judgement()
    same = [LabelledFile(f.path, f.cell_class, "native", "dm96") for f in found.files]
    alone = Judgement(found.classes, tuple(same), found.labels, found.answers, found.rejected)
    text = evaluation_text(alone, 0.5)
    assert text.count(": right/all") == 1
    assert text.startswith("all (kind native, capture dm96), 10 images: right/all")


def test_evaluation_text_of_one_graph_pairs_nothing() -> None:
    found = judgement()
    alone = Judgement(
        found.classes, found.files, found.labels, {"int8": found.answers["int8"]}, found.rejected
    )
    assert "paired" not in evaluation_text(alone, 0.5)


def test_wrong_images_are_of_any_graph_by_class_and_the_surest_first() -> None:
    assert wrong_images(judgement()) == [2, 4, 5, 7, 9]


def test_contact_sheets_of_images_that_cannot_be_read_are_whole_all_the_same() -> None:
    (page,) = contact_sheets(judgement(), [2, 4, 5, 7, 9, 0], Path("/set"))
    pixels = cv2.imdecode(np.frombuffer(page, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.shape[1] > COLUMNS * SIDE_PX
    assert pixels.shape[0] > 2 * SIDE_PX


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


def test_choose_graphs_takes_what_the_bundle_holds(small_bundle: Path) -> None:
    assert choose_graphs(load_bundle(small_bundle), None) == ["fp32", "int8"]
    add_tensorrt_graphs(small_bundle)
    bundle = load_bundle(small_bundle)
    assert choose_graphs(bundle, "all") == ["fp32", "int8", "int8.trt", "fp16.trt"]
    assert choose_graphs(bundle, "fp16.trt, fp32,fp16.trt") == ["fp16.trt", "fp32"]
    with pytest.raises(ConfigError, match=r"no graph 'int8\.7bit'"):
        choose_graphs(bundle, "int8.7bit")


def test_choose_graphs_of_an_fp32_bundle_takes_fp32_alone(small_bundle: Path) -> None:
    manifest = json.loads((small_bundle / "manifest.json").read_text())
    kept = [entry for entry in manifest["artefacts"] if entry.get("precision") != "int8"]
    write_manifest(small_bundle, {**manifest, "artefacts": kept, "default_precision": "fp32"})
    assert choose_graphs(load_bundle(small_bundle), None) == ["fp32"]


def test_evaluate_all_graphs_finds_what_the_converter_found(converted: Path) -> None:
    bundle = load_bundle(converted)
    names = choose_graphs(bundle, "all")
    assert names == ["fp32", "int8", "int8.7bit", "int8.trt", "int8.trt8", "fp16.trt"]
    files = [
        LabelledFile(path, path.parent.name)
        for path in sorted((converted.parent / "validation").glob("*/*.jpg"))
    ]
    found = evaluate(bundle, files, names, lambda *_: None, threads=2)
    judged = bundle.manifest["evidence"]["graphs"]
    everything = found.groups()["all"]
    for name, key in zip(
        names[1:], ("x86", "x86-7bit", "tensorrt", "tensorrt8", "fp16"), strict=True
    ):
        expected = judged[key]["accuracy"]["int8"]["count"]
        assert found.accuracy(name, everything).count == expected
    fields = evaluation_fields(
        found, bundle, EvaluationImages(converted.parent / "validation", files, [], [])
    )
    assert fields["images"][0]["file"] == f"{files[0].cell_class}/{files[0].path.name}"


def test_open_graph_for_tensorrt_is_computed_as_it_is_written(
    converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[bool, bool]] = []

    def spy(model: bytes, precision: str, *, optimise: bool = True) -> OnnxSession:
        opened.append((optimise, b"_rounded" in model))
        return open_onnx(model, precision, optimise=optimise)

    monkeypatch.setattr("converters.reference.evaluation.graphs.open_onnx", spy)
    monkeypatch.setattr("converters.int8.target_session.open_onnx", spy)
    bundle = load_bundle(converted)
    for name in ("int8.trt", "int8.trt8", "fp16.trt", "fp32"):
        open_graph(bundle, name)
    # FP16 is rounded to; ONNX Runtime's kernels for quantized graphs are not TensorRT's.
    assert opened == [(False, True), (False, True), (True, True), (True, False)]
