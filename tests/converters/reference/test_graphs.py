"""Tests for converters.reference.evaluate: which of a bundle's graphs are judged, and how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from converters.reference.data.class_folders import LabelledFile
from converters.reference.evaluation.evaluate import evaluate
from converters.reference.evaluation.fields import evaluation_fields
from converters.reference.evaluation.graphs import choose_graphs, open_graph
from converters.reference.evaluation.images import EvaluationImages
from edge.backends.onnx import OnnxSession, open_onnx
from edge.bundle import load_bundle
from edge.errors import ConfigError
from tests.support.engine_bundle import add_tensorrt_graphs, write_manifest


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

    def spy(model: bytes, precision: str, *, graph: str = "", optimise: bool = True) -> OnnxSession:
        opened.append((optimise, b"_rounded" in model))
        return open_onnx(model, precision, graph=graph, optimise=optimise)

    monkeypatch.setattr("converters.reference.evaluation.graphs.open_onnx", spy)
    monkeypatch.setattr("converters.int8.target_session.open_onnx", spy)
    bundle = load_bundle(converted)
    for name in ("int8.trt", "int8.trt8", "fp16.trt", "fp32"):
        open_graph(bundle, name)
    # FP16 is rounded to; ONNX Runtime's kernels for quantized graphs are not TensorRT's.
    assert opened == [(False, True), (False, True), (True, True), (True, False)]
