"""From validation images with wrong labels to the confidence that the service gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge.backends.select import open_session
from edge.bundle import load_bundle
from edge.golden import open_labeller
from edge.postprocess import softmax
from tests.converters.accuracy.conftest import Conversion
from tests.support.images import Jpeg


def test_bundle_has_a_temperature_for_each_of_its_graphs(
    conversion_with_errors: Conversion,
) -> None:
    bundle = load_bundle(conversion_with_errors.bundle)
    models = {artefact.path for artefact in bundle.artefacts if artefact.role == "model"}
    assert set(bundle.temperatures) == models
    assert max(bundle.temperatures.values()) < 0.9
    evidence = json.loads((conversion_with_errors.bundle / "evidence/evidence.json").read_text())
    for path in models:
        found = evidence["confidence"][path]
        assert found["temperature"] == bundle.temperatures[path]
        error = found["calibration_error"]
        assert error["after"]["value"] < error["before"]["value"]
    identified = evidence["confidence"]["model.int8.onnx"]["at_limit"]["coverage"]
    table = np.array(evidence["confusion_unidentified"]["graphs"]["model.int8.onnx"])
    assert table.sum() == identified["total"] == 112
    assert table[:, :-1].sum() == identified["count"]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_labels_of_the_bundle_have_the_confidence_after_the_temperature(
    conversion_with_errors: Conversion, precision: str, tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    bundle = load_bundle(conversion_with_errors.bundle)
    (tmp_path / "a.jpg").write_bytes(colour_jpeg("green", seed=7))
    session = open_session(bundle, backend="onnxruntime", precision=precision)
    outcome = open_labeller(bundle, session).label(tmp_path / "a.jpg")
    assert outcome.decision is not None
    assert outcome.logits is not None
    expected = softmax(outcome.logits / np.float32(bundle.temperatures[session.graph])).max()
    assert outcome.decision.confidence == pytest.approx(float(expected), abs=1e-6)


def test_both_reports_tell_the_error_before_and_after(conversion_with_errors: Conversion) -> None:
    assert "confidence, with the 95 % interval of its error:" in conversion_with_errors.printed
    (line,) = [
        line
        for line in conversion_with_errors.printed.splitlines()
        if line.startswith("  int8 ") and "with temperature" in line
    ]
    bundle = load_bundle(conversion_with_errors.bundle)
    temperature = bundle.temperatures["model.int8.onnx"]
    assert f"with temperature {temperature:g} by" in line
    page = (conversion_with_errors.bundle / "evidence" / "report.html").read_text("utf-8")
    assert f"{temperature:.3g}" in page
    assert 'class="plot"' in page
