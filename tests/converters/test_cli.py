"""edge-convert from the outside: what is written, what is said, what is left behind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch

from edge.backends.cpu import has_vnni
from edge.backends.select import open_session
from edge.bundle import load_bundle
from edge.golden import open_labeller
from edge.status import Status
from tests.converters.conversions import convert, edit_card, refused


def test_convert_state_dict_writes_a_bundle_that_labels(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(model_folder, "--int8") == 0
    bundle = load_bundle(model_folder / "tiny.edge")
    assert sorted(a.path for a in bundle.artefacts if a.role == "model") == [
        "model.fp16.trt.onnx",
        "model.fp32.onnx",
        "model.int8.7bit.onnx",
        "model.int8.onnx",
        "model.int8.trt.onnx",
    ]
    assert 8 <= len(bundle.golden) <= 16
    for precision in ("fp32", "int8"):
        labeller = open_labeller(bundle, open_session(bundle, precision=precision))
        outcome = labeller.label(model_folder / "validation" / "green" / "1.jpg")
        assert outcome.status is Status.LABELLED
        assert outcome.decision is not None
        assert outcome.decision.label == "green"
    said = capsys.readouterr().out
    assert re.search(r"^x86 +passed +0\.00 +100\.0% +100% +0 ", said, re.MULTILINE)
    assert "times as fast as FP32" in said
    # Speed stands beside the graphs that this machine serves, and beside no other.
    timed = re.findall(r"^(\S+) +[\d.]+ MB +[\d.]+ +\d+  ", said, re.MULTILINE)
    assert timed == ["fp32", "int8" if has_vnni() else "int8.7bit"]


def test_convert_manifest_holds_the_evidence(converted: Path) -> None:
    manifest = json.loads((converted / "manifest.json").read_text())
    assert manifest["source"]["kind"] == "state_dict"
    assert manifest["source"]["architecture"] == "tests.support.networks.tiny_network:TinyNetwork"
    assert "tests.support.networks.tiny_network:TinyNetwork" in (
        converted / "evidence" / "report.html"
    ).read_text("utf-8")
    assert manifest["quantization"]["calibration"]["images"] == 48
    assert manifest["quantization"]["graphs"]["x86"]["quantized_layers"] == 3
    assert manifest["quantization"]["graphs"]["tensorrt"]["int8_share_of_macs"] == 1.0
    assert manifest["evidence"]["fp32"]["accuracy"]["total"] == 48
    agreement = manifest["evidence"]["graphs"]["x86"]["agreement"]
    assert agreement["low"] < agreement["high"]
    assert manifest["versions"]["torch"]
    evidence = json.loads((converted / "evidence" / "evidence.json").read_text())
    assert evidence["schema"] == "edge-evidence/1"
    assert evidence["graphs"]["x86"]["per_class"]["red"]["int8"]["total"] == 16
    assert all(check["holds"] for check in evidence["graphs"]["x86"]["checks"])
    assert manifest["temperature"] == {}
    assert evidence["confidence"]["model.int8.onnx"]["not_fitted"] == (
        "it has 48 of the 100 images it needs"
    )
    errors = evidence["confusion_unidentified"]
    assert errors["unidentified_below"] == manifest["unidentified_below"]
    assert {"model.fp32.onnx", "model.int8.onnx", "model.int8.7bit.onnx"} <= set(errors["graphs"])
    assert [sum(row) for row in errors["graphs"]["model.int8.onnx"]] == [16, 16, 16]


def test_convert_torchscript_gives_the_same_model_as_its_state_dict(
    model_folder: Path, tiny_network: torch.nn.Module
) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates its own TorchScript
        script = torch.jit.script(tiny_network)
        torch.jit.save(script, str(model_folder / "script.pt"))
    edit_card(model_folder, architecture=None)
    card = str(model_folder / "tiny.yaml")
    assert convert(model_folder, "--int8", "--card", card, model="script.pt") == 0
    manifest = json.loads((model_folder / "tiny.edge" / "manifest.json").read_text())
    assert manifest["source"]["kind"] == "torchscript"
    assert manifest["evidence"]["graphs"]["x86"]["accuracy"]["int8"]["rate"] > 0.95


def test_convert_onnx_of_fixed_batch_takes_batches(
    model_folder: Path, exported_onnx: bytes
) -> None:
    (model_folder / "tiny.onnx").write_bytes(exported_onnx)
    assert convert(model_folder, "--int8", model="tiny.onnx") == 0
    manifest = json.loads((model_folder / "tiny.edge" / "manifest.json").read_text())
    assert manifest["source"]["kind"] == "onnx"
    assert manifest["evidence"]["graphs"]["x86"]["accuracy"]["int8"]["rate"] > 0.95


def test_convert_without_int8_needs_no_calibration_and_writes_no_int8(model_folder: Path) -> None:
    edit_card(model_folder, calibration=None)
    assert convert(model_folder) == 0
    bundle = load_bundle(model_folder / "tiny.edge")
    assert [a.precision for a in bundle.artefacts if a.role == "model"] == ["fp32", "fp16"]
    assert bundle.default_precision == "fp32"


@pytest.fixture
def grey_calibration(model_folder: Path) -> Path:
    """Images of the mean colour, whose ranges fit no real image, and a gate that sees it.

    With its largest layer alone in INT8 the network still tells three colours apart.
    """
    (model_folder / "strict.yaml").write_text("max_divergence: 0.0\n")
    grey = np.full((64, 64, 3), (124, 116, 104), np.uint8)
    for path in (model_folder / "calibration").iterdir():
        path.write_bytes(simplejpeg.encode_jpeg(grey))
    return model_folder


def test_convert_strict_below_accuracy_gate_exits_4_and_writes_nothing(
    grey_calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = str(grey_calibration / "strict.yaml")
    said = refused(grey_calibration, capsys, "--int8", "--strict", "--gate", gate)
    assert said.startswith("4 error: no INT8 graph for x86: ")
    assert "Nothing was written" in said


def test_convert_strict_without_int8_is_refused(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(model_folder, capsys, "--strict")
    assert said == "2 error: --strict asks for INT8 graphs; give --int8 with it."


def test_convert_below_accuracy_gate_falls_back_to_fp32_and_says_so(
    grey_calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(grey_calibration, "--int8", "--gate", str(grey_calibration / "strict.yaml")) == 7
    bundle = load_bundle(grey_calibration / "tiny.edge")
    assert bundle.precisions("onnxruntime") == ("fp32",)
    assert bundle.default_precision == "fp32"
    assert open_session(bundle).precision == "fp32"
    graphs = bundle.manifest["quantization"]["graphs"]
    assert not graphs["x86"]["passed"]
    said, errors = capsys.readouterr()
    assert said.startswith("FP32 ONLY: tiny.edge holds no INT8 graph for CPUs")
    assert errors.splitlines()[-1].startswith("warning: FP32 only: tiny.edge holds no INT8 graph")
    assert re.search(r"^x86 +refused ", said, re.MULTILINE)
    assert "recall of each class, x86 (refused, not in the bundle):" in said
    # There is no graph for TensorRT that anything could stay in FP32 in.
    assert "stays in FP32" not in said
    assert "warning: no INT8 graph for x86" in said
    assert "warning: all calibration images look like" in said


def test_convert_twice_gives_byte_identical_files(model_folder: Path) -> None:
    assert convert(model_folder, "--int8", "--no-cache") == 0
    first = {p.name: p.read_bytes() for p in (model_folder / "tiny.edge").rglob("*.*")}
    assert convert(model_folder, "--int8", "--no-cache", "--overwrite") == 0
    second = {p.name: p.read_bytes() for p in (model_folder / "tiny.edge").rglob("*.*")}
    manifests = [json.loads(files.pop("manifest.json")) for files in (first, second)]
    for files in (first, second):
        del files["manifest.sha256"]
    assert first == second
    for manifest in manifests:
        del manifest["times"]
        # Which precision is faster on a busy machine is no property of the inputs.
        del manifest["default_precision"]
    assert manifests[0] == manifests[1]


def test_convert_with_warm_cache_gives_the_same_model(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(model_folder / "cache"))
    models = []
    for _ in range(2):
        assert convert(model_folder, "--int8", "--overwrite") == 0
        models.append((model_folder / "tiny.edge" / "model.int8.onnx").read_bytes())
    assert models[0] == models[1]
    (stored,) = (model_folder / "cache").rglob("*.npz")
    stored.write_bytes(b"damaged")
    assert convert(model_folder, "--int8", "--overwrite") == 0
    assert (model_folder / "tiny.edge" / "model.int8.onnx").read_bytes() == models[0]


def test_convert_with_gate_file_uses_its_limits(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model_folder / "gate.yaml").write_text("max_divergence: 0.0\n")
    gate = str(model_folder / "gate.yaml")
    said = refused(model_folder, capsys, "--int8", "--strict", "--gate", gate)
    assert said.startswith("4 ")
    assert "diverge" in said


def thin_out(folder: Path, cell_class: str, *, kept: int) -> None:
    """Leave so many validation images of a class."""
    for path in sorted((folder / "validation" / cell_class).iterdir())[kept:]:
        path.unlink()


def test_convert_with_class_that_has_no_validation_images_needs_the_flag(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thin_out(model_folder, "blue", kept=0)
    said = refused(model_folder, capsys, "--int8")
    assert said.startswith("2 ")
    assert "32 validation images, none of blue" in said
    assert "--allow-weak-validation" in said
    assert convert(model_folder, "--int8", "--allow-weak-validation") == 0
    assert "no validation images of blue" in capsys.readouterr().out


def test_convert_with_too_few_validation_images_needs_the_flag(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("red", "green", "blue"):
        thin_out(model_folder, name, kept=9)
    said = refused(model_folder, capsys)
    assert said.startswith("2 ")
    assert "holds 27 validation images; 30" in said
    assert convert(model_folder, "--allow-weak-validation") == 0


def test_convert_with_few_unlabelled_validation_images_needs_the_flag(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = model_folder / "few"
    few.mkdir()
    for path in sorted((model_folder / "calibration").iterdir())[:29]:
        (few / path.name).write_bytes(path.read_bytes())
    edit_card(model_folder, validation="few")
    assert "29 validation images; 30" in refused(model_folder, capsys)


def test_convert_with_thin_class_says_so_first(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thin_out(model_folder, "blue", kept=4)
    assert convert(model_folder, "--int8") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "fewer than 10 validation images of blue (4)" in lines[1]
    assert any(line.startswith("  blue") and "4 of 4" in line for line in lines)
    folder = model_folder / "tiny.edge" / "evidence"
    evidence = json.loads((folder / "evidence.json").read_text())
    assert evidence["validation"]["thin_classes"] == {"blue": 4}
    page = (folder / "report.html").read_text()
    assert page.index("Few images carry the verdict on blue (4 images)") < page.index("All graphs")


def test_convert_says_what_layer_correction_did_to_each_graph(
    converted: Path,
) -> None:
    evidence = json.loads((converted / "evidence" / "evidence.json").read_text())
    assert sorted(evidence["graphs"]) == ["tensorrt", "tensorrt8", "x86", "x86-7bit"]
    for graph in evidence["graphs"].values():
        found = graph["layer_correction"]
        assert found["kept"]
        assert 0 <= found["divergence_after"] <= found["divergence_before"]
    page = (converted / "evidence" / "report.html").read_text()
    assert page.count(", corrected ") == 4


def test_convert_without_labels_checks_agreement_and_warns(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_card(model_folder, validation="calibration")
    assert convert(model_folder, "--int8") == 0
    assert "has no labels" in capsys.readouterr().out
