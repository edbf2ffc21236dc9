"""All graphs of a network with their features, on the sessions that stand for their targets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from converters.cli import main
from converters.features import given
from converters.features.given import give_features
from converters.features.output import WithFeatures, with_features
from converters.fp16.emulation import emulate_fp16
from converters.int8.graphs import FP16, FP32, GRAPHS, QUANTIZED
from converters.int8.target_session import open_as_target
from converters.int8.tensorrt_graph import for_tensorrt
from edge.backends.onnx import OnnxSession, open_onnx
from edge.bundle import load_bundle
from edge.image_files.read import read_image
from edge.preprocess import preprocess
from tests.converters.features.heads import HEADS, graph_of, some_images
from tests.support.networks.calibrated import Calibrated, calibrated

# A residual network, one with squeeze-excite, tokens, and channels last.
KINDS = ("resnet", "mobilenet_v3", "vision_transformer", "convnext")


@pytest.fixture(scope="module", params=KINDS)
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    return calibrated(request.param, tmp_path_factory.mktemp(request.param))


def graphs_of(net: Calibrated) -> dict[str, onnx.ModelProto]:
    found = {FP32.name: net.fp32, FP16.name: for_tensorrt(net.fp32, half_floats=True)}
    for kind in QUANTIZED:
        assert kind.placement is not None
        model = net.quantized(kind.placement).model
        if kind.placement.symmetric:
            model = for_tensorrt(model, half_floats=kind.placement.half_floats)
        found[kind.name] = model
    return found


def session_of(name: str, model: onnx.ModelProto, *, optimised: bool = False) -> OnnxSession:
    """A session that computes as the target; for x86 also with ONNX Runtime's optimisations."""
    if name == FP16.name:
        return open_onnx(emulate_fp16(model).SerializeToString(), "fp16")
    placement = GRAPHS[name].placement
    if placement is None or (optimised and not placement.symmetric):
        return open_onnx(model.SerializeToString(), "int8")
    return open_as_target(model, placement)


def test_give_features_leaves_the_logits_of_every_graph_equal_and_gives_like_features(
    net: Calibrated,
) -> None:
    graphs, images = graphs_of(net), net.images[:8]
    found = give_features(graphs, images)
    assert found.reason == ""
    assert found.facts() == {"count": found.count}
    assert found.warnings() == []
    assert list(found.models) == list(graphs)
    exact = open_onnx(found.models["fp32"].SerializeToString(), "fp32").infer(images).features
    assert exact is not None
    for name, model in found.models.items():
        onnx.checker.check_model(model, full_check=True)
        assert [value.name for value in model.graph.output] == ["logits", "features"]
        for optimised in (False, True):
            plain = session_of(name, graphs[name], optimised=optimised)
            extended = session_of(name, model, optimised=optimised)
            for batch in (images, images[:1]):
                logits = extended.infer(batch).logits
                assert np.array_equal(logits, plain.infer(batch).logits), name
        features = session_of(name, model).infer(images).features
        assert features is not None
        assert features.shape == (len(images), found.count)
        assert np.corrcoef(features.ravel(), exact.ravel())[0, 1] > 0.95, name


def test_give_features_with_logits_that_change_gives_none_and_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disturbed(model: onnx.ModelProto) -> WithFeatures:
        extended = with_features(model)
        last = next(n for n in extended.model.graph.node if "logits" in n.output)
        last.output[0] = "exact_logits"
        half = helper.make_node("Add", ["exact_logits", "exact_logits"], ["logits"], "twice")
        extended.model.graph.node.append(half)
        return extended

    monkeypatch.setattr(given, "with_features", disturbed)
    graphs = {"fp32": graph_of(HEADS["linear"], tmp_path)}
    found = give_features(graphs, some_images(2))
    assert found.models == graphs
    assert found.facts() == {
        "absent": "with its features as an output, graph fp32 gives other logits"
    }
    assert "gives other logits" in found.warnings()[0]


def test_give_features_with_a_defect_tells_it_and_costs_no_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: onnx.ModelProto) -> WithFeatures:
        raise IndexError("list index out of range")

    monkeypatch.setattr(given, "with_features", fails)
    graphs = {"fp32": graph_of(HEADS["linear"], tmp_path)}
    found = give_features(graphs, some_images(2))
    assert found.models == graphs
    assert found.reason.startswith("IndexError at ")


def test_convert_writes_features_in_every_graph_and_says_so(converted: Path) -> None:
    bundle = load_bundle(converted)
    assert bundle.manifest["features"] == {"count": 8}
    image = preprocess(read_image(converted / bundle.golden[0].path), bundle.input)[None]
    models = [artefact for artefact in bundle.artefacts if artefact.role == "model"]
    assert len(models) == 6
    for artefact in models:
        features = open_onnx(bundle.read(artefact.path), "fp32", optimise=False).infer(image)
        assert features.features is not None
        assert features.features.shape == (1, 8)
    assert "8 numbers of an image" in (converted / "evidence/report.html").read_text()


def test_convert_of_a_network_without_features_warns_and_says_why(
    model_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("converters.features.last_layer.MOST_FEATURES", 7)
    assert main([str(model_folder / "tiny.pt"), "--out", str(model_folder / "tiny.edge")]) == 0
    reason = "the last layer reads 8 numbers an image, at most 7 are kept"
    assert f"no features: {reason}" in " ".join(capsys.readouterr().out.split())
    root = model_folder / "tiny.edge"
    manifest = json.loads((root / "manifest.json").read_bytes())
    assert manifest["features"] == {"absent": reason}
    assert f"none: {reason}" in (root / "evidence/report.html").read_text()
    assert len(onnx.load(root / "model.fp32.onnx").graph.output) == 1
