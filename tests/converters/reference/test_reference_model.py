"""The committed weights: drawn cells always, real cells where they are beside the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import converters.reference
from converters.reference.data.pbc import read_manifest
from converters.reference.evaluation.evaluate import evaluate
from converters.reference.evaluation.text import evaluation_text
from edge.bundle import load_bundle

# The demonstration converts the reference model first, which takes minutes on a slow processor.
pytestmark = pytest.mark.timeout(900)
MODEL = Path(converters.reference.__file__).parent / "cells8.pt"


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demonstration left behind and said, with few images and the real commands."""

    workspace: Path
    said: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    if not Path(sys.executable).with_name("edge-daemon").is_file():
        pytest.skip("the commands are not installed beside this Python")
    folder = tmp_path_factory.mktemp("demo")
    words = ["--model", str(MODEL), "--out", str(folder), "--count", "16"]
    done = subprocess.run(
        [sys.executable, "-m", "edge.demo", *words], stdout=subprocess.PIPE, text=True, check=True
    )
    (workspace,) = folder.iterdir()
    return Demo(workspace, done.stdout)


@pytest.fixture(scope="module")
def bundle(demo: Demo) -> Path:
    return demo.workspace / "cells8.edge"


def test_demo_labels_drawn_cells_and_says_where_the_sidecars_lie(demo: Demo) -> None:
    assert "of 16 drawn cells got the class that was drawn" in demo.said
    images = sorted((demo.workspace / "export").rglob("*.jpg"))
    assert len(images) == 16
    for image in images:
        sidecar = json.loads(image.with_name(f"{image.name}.json").read_text())
        assert sidecar["status"] in {"labelled", "unidentified"}
        assert image.with_name(f"{image.name}.csv").is_file()
    assert str(demo.workspace / "export") in demo.said


def test_demo_ends_with_a_differential_and_its_files(demo: Demo) -> None:
    assert "state      preliminary, no person verified it" in demo.said
    assert "with errors 95 %" in demo.said
    written = [path for path in (demo.workspace / "lis").rglob("*") if path.is_file()]
    assert {"openelis", "fhir", "hl7-oru"} <= {path.parent.name for path in written}
    assert all(str(path.relative_to(demo.workspace / "lis")) in demo.said for path in written)


def test_reference_model_is_small_enough_to_be_committed() -> None:
    assert MODEL.stat().st_size <= 20_000_000


def test_reference_model_labels_drawn_cells_in_int8(bundle: Path) -> None:
    manifest = load_bundle(bundle).manifest
    assert manifest["evidence"]["validation"]["origin"] == "drawn cells"
    for graph in ("x86", "x86-7bit", "tensorrt"):
        assert manifest["evidence"]["graphs"][graph]["accuracy"]["int8"]["rate"] >= 0.95
        assert manifest["quantization"]["graphs"][graph]["passed"]
        assert manifest["quantization"]["graphs"][graph]["int8_share_of_macs"] == 1.0


# 1,201 images in two precisions, on a machine that may be busy.
@pytest.mark.timeout(600)
def test_reference_model_on_shared_test_split_reaches_its_figures(bundle: Path, pbc: Path) -> None:
    opened = load_bundle(bundle)
    files = read_manifest(pbc, "test")
    found = evaluate(opened, files, ["fp32", "int8"], lambda *_: None, threads=2)
    print(evaluation_text(found, opened.unidentified_below))  # noqa: T201 (shown when the test fails)
    groups = found.groups()
    native = groups["kind native"]
    assert found.accuracy("fp32", native).rate >= 0.96
    assert found.accuracy("fp32", groups["kind denoised224"]).rate >= 0.975
    assert found.accuracy("fp32", groups["capture other_export"]).total == 28
    totals = {c: found.accuracy("fp32", native, i).total for i, c in enumerate(found.classes)}
    assert totals == {
        "neutrophil": 120,
        "eosinophil": 120,
        "basophil": 100,
        "lymphocyte": 100,
        "monocyte": 110,
        "ig": 167,
        "erythroblast": 121,
        "platelet": 123,
    }
    # INT8 is calibrated on drawn cells here, not on images of the laboratory, and keeps to its
    # limits all the same: one image of a class, 0.2 points over all.
    for index, cell_class in enumerate(found.classes):
        fp32, int8 = (found.accuracy(p, native, index) for p in ("fp32", "int8"))
        assert fp32.rate >= 0.96, cell_class
        # Of 120 neutrophils FP32 has 116, and one less is below 96 %.
        assert int8.rate >= (0.95 if cell_class == "neutrophil" else 0.96), cell_class
        assert fp32.count - int8.count <= 1, cell_class
    for group, points in ((native, 0.2), (groups["all"], 0.5)):
        fp32, int8 = (found.accuracy(p, group) for p in ("fp32", "int8"))
        assert 100 * (fp32.rate - int8.rate) <= points
