"""A bundle with a new last layer: what is written, what is refused, and that no torch is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from converters.adapt.seen import graphs_of
from converters.cli import main
from converters.int8.graphs import GRAPHS
from converters.int8.target_session import open_graph
from edge.backends.select import open_session
from edge.bundle import load_bundle
from edge.golden import check_session, open_labeller
from edge.image_files.read import read_image
from edge.preprocess import preprocess
from edge.trust.reference import REFERENCE_NAME, read_reference
from tests.support.engine_bundle import put, write_manifest
from tests.support.images import Jpeg

# In this laboratory what the parent calls green is red, and so on: it is always wrong.
OTHER = {"red": "green", "green": "blue", "blue": "red"}


def labelled(folder: Path, jpeg: Jpeg, *, names: dict[str, str], count: int = 20) -> Path:
    """A folder per class, with images of the colours that `names` gives."""
    for position, (name, colour) in enumerate(names.items()):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            content = jpeg(colour, seed=1000 * (position + 1) + number)
            (folder / name / f"{number}.jpg").write_bytes(content)
    return folder


def hashes(bundle: Path) -> dict[str, bytes]:
    return {str(p.relative_to(bundle)): p.read_bytes() for p in bundle.rglob("*") if p.is_file()}


def test_adapt_writes_a_whole_bundle_whose_graphs_label_the_new_laboratory(
    converted: Path, tmp_path: Path, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = labelled(tmp_path / "south", colour_jpeg, names=OTHER)
    before, target = hashes(converted), tmp_path / "new.edge"
    assert main([str(converted), "--adapt", str(cells), "--out", str(target)]) == 0
    said = capsys.readouterr().out
    assert "tiny 1.0+south, from 1.0" in said
    assert "15 images kept back   0.0%" in said
    assert hashes(converted) == before
    parent, new = load_bundle(converted), load_bundle(target)
    adapted = new.manifest["adapted"]
    assert adapted["parent"] == {"name": "tiny", "version": "1.0", "sha256": parent.sha256}
    assert adapted["kept_back"]["new"]["value"] == 1.0
    assert adapted["cells"]["of_class"] == dict.fromkeys(OTHER, 20)
    assert (new.version, new.classes) == ("1.0+south", parent.classes)
    assert {a.path for a in new.artefacts if a.role == "model"} == {
        a.path for a in parent.artefacts if a.role == "model"
    }
    for name, model in graphs_of(new).items():
        session = open_graph(GRAPHS[name], model)
        if GRAPHS[name].requires["backend"] == "onnxruntime":
            check_session(new, session)
        for label, colour in OTHER.items():
            image = read_image(write(tmp_path / "one.jpg", colour_jpeg(colour, seed=99_999)))
            logits = session.infer(preprocess(image, new.input)[None]).logits[0]
            assert new.classes[logits.argmax()] == label, name
    evidence = json.loads((target / "evidence/evidence.json").read_bytes())
    assert all(graph["passed"] for graph in evidence["graphs"].values())
    tables = evidence["confusion_unidentified"]["graphs"]
    assert set(tables) == {a.path for a in new.artefacts if a.role == "model"}
    assert all(np.diag(table).sum() == 15 for table in tables.values())
    assert "1.0+south" in (target / "evidence/report.html").read_text()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_adapt_learns_the_new_laboratory_where_there_are_enough_images(
    converted: Path, tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    cells = labelled(tmp_path / "south", colour_jpeg, names=OTHER, count=40)
    target = tmp_path / "new.edge"
    assert main([str(converted), "--adapt", str(cells), "--out", str(target)]) == 0
    bundle = load_bundle(target)
    reference = read_reference(bundle.read(REFERENCE_NAME), len(bundle.classes))
    assert reference.images == 120
    assert set(reference.graphs) == {a.path for a in bundle.artefacts if a.role == "model"}
    assert all(set(golden.scores) == set(reference.graphs) for golden in bundle.golden)
    labeller = open_labeller(bundle, open_session(bundle))
    path = write(tmp_path / "one.jpg", colour_jpeg("green", seed=99_999))
    found = labeller.label(path)
    assert found.familiarity
    assert found.familiarity.passes
    content = cv2.imencode(".png", np.full((64, 64, 3), 90, np.uint8))[1].tobytes()
    grey = write(tmp_path / "grey.png", content)
    strange = labeller.label(grey)
    assert strange.familiarity
    assert not strange.familiarity.passes


def test_adapt_needs_no_torch(converted: Path, tmp_path: Path, colour_jpeg: Jpeg) -> None:
    cells = labelled(tmp_path / "south", colour_jpeg, names=OTHER, count=8)
    words = [str(converted), "--adapt", str(cells), "--out", str(tmp_path / "new.edge")]
    code = (
        "import sys; sys.modules['torch'] = None\n"
        f"from converters.cli import main\nsys.exit(main({words!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fewer than 20 images of red (8), green (8), blue (8)" in done.stdout


def test_adapt_that_is_not_better_than_the_parent_writes_nothing(
    converted: Path, tmp_path: Path, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = labelled(tmp_path / "home", colour_jpeg, names={name: name for name in OTHER})
    target = tmp_path / "new.edge"
    assert main([str(converted), "--adapt", str(cells), "--out", str(target)]) == 4
    assert "the new layer is not better: 100.0% on 15 images" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize(
    ("names", "count", "more", "said"),
    [
        (OTHER, 4, (), "too few images of blue (4), green (4), red (4); give 20 or more"),
        ({"red": "green"}, 8, (), "holds one class; give at least two"),
        ({"purple": "green", "red": "blue"}, 8, (), "'purple' that is no class"),
        (OTHER, 8, ("--int8",), "--int8 has no effect with --adapt"),
        (OTHER, 8, ("--site", "a b"), "'a b' cannot be part of a version"),
        ({}, 0, (), "holds no .jpg or .png images"),
    ],
)
def test_adapt_to_cells_that_cannot_be_used_is_one_line(
    names: dict[str, str],
    count: int,
    more: tuple[str, ...],
    said: str,
    converted: Path,
    colour_jpeg: Jpeg,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = converted.parent / "south"
    folder.mkdir()
    target = converted.parent / "new.edge"
    cells = labelled(folder, colour_jpeg, names=names, count=count)
    words = [str(converted), "--adapt", str(cells), "--out", str(target)]
    assert main([*words, *more]) == 2
    assert said in capsys.readouterr().err
    assert not target.exists()


def test_copies_of_an_image_count_once(
    converted: Path, tmp_path: Path, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy that is kept back would be judged by a layer that was fitted to it."""
    cells = labelled(tmp_path / "south", colour_jpeg, names=OTHER, count=8)
    (cells / "red" / "copy.jpg").write_bytes((cells / "red" / "0.jpg").read_bytes())
    words = [str(converted), "--adapt", str(cells), "--out", str(tmp_path / "new.edge")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "skipped in south: 1 file with the bytes of another one" in said
    assert "fewer than 20 images of red (8), green (8), blue (8)" in said
    (cells / "blue" / "copy.jpg").write_bytes((cells / "red" / "0.jpg").read_bytes())
    assert main([*words, "--overwrite"]) == 2
    assert "are copies of one image in two classes" in capsys.readouterr().err


def _edited(bundle: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    change(manifest)
    write_manifest(bundle, manifest)
    return bundle


@pytest.mark.parametrize(
    "content",
    [b"{", b"[1]", b"{}", b'{"graphs": [1]}', b'{"graphs": {"int8": 1}}'],
)
def test_parent_with_damaged_evidence_is_refused_before_any_work(
    content: bytes, converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "evidence/evidence.json"
    parent = _edited(converted, lambda m: put(converted, m, path, content, role="evidence"))
    # The labelled images, which are read next, are not even there.
    words = [str(parent), "--adapt", str(tmp_path / "south"), "--out", str(tmp_path / "new.edge")]
    assert main(words) == 3
    assert "evidence/evidence.json is damaged" in capsys.readouterr().err


def test_parent_without_a_sound_fp32_graph_is_refused(
    converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def damage(manifest: dict[str, Any]) -> None:
        facts = next(a for a in manifest["artefacts"] if a["path"] == "model.fp32.onnx")
        kept = {key: facts[key] for key in ("role", "precision", "requires")}
        put(converted, manifest, "model.fp32.onnx", b"junk", **kept)

    def remove(manifest: dict[str, Any]) -> None:
        kept = [a for a in manifest["artefacts"] if a["path"] != "model.fp32.onnx"]
        manifest |= {"artefacts": kept, "default_precision": "int8"}

    words = ["--adapt", str(tmp_path / "south"), "--out", str(tmp_path / "new.edge")]
    assert main([str(_edited(converted, damage)), *words]) == 3
    assert "is no ONNX graph" in capsys.readouterr().err
    assert main([str(_edited(converted, remove)), *words]) == 3
    assert "has no model.fp32.onnx" in capsys.readouterr().err


def test_version_that_no_bundle_may_have_and_a_place_among_the_images_are_refused(
    converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "south").mkdir()
    words = [str(converted), "--adapt", str(tmp_path / "south"), "--out"]
    assert main([*words, str(tmp_path / "new.edge"), "--site", "a" * 500]) == 2
    assert "give a shorter --site" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "south" / "new.edge")]) == 2
    assert "would lie among the labelled images" in capsys.readouterr().err


def test_adapt_of_a_model_that_is_no_bundle_says_what_it_takes(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--adapt", str(model_folder / "validation")]
    assert main([str(model_folder / "tiny.pt"), *words]) == 2
    assert "is no bundle; --adapt takes NAME.edge" in capsys.readouterr().err
