"""A model that ends in probabilities: opened, compared with its source, and said to people."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from numpy.typing import NDArray
from onnx import helper

from converters.cli import main
from converters.export.export_check import check_export, check_logits
from converters.export.torch_to_onnx import source_to_onnx
from converters.inputs.card import ModelCard, read_card
from converters.loading.checkpoint import SourceModel, open_model
from edge.errors import ModelError
from tests.support.networks.tiny_network import CARD


def ending_in(exported: bytes, operator: str) -> bytes:
    model = onnx.load_model_from_string(exported)
    node = helper.make_node(operator, [model.graph.output[0].name], ["p"])
    if operator != "Sigmoid":
        node.attribute.append(helper.make_attribute("axis", 1))
    model.graph.node.append(node)
    model.graph.output[0].name = "p"
    return bytes(model.SerializeToString())


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(CARD))
    return read_card(tmp_path / "card.yaml")


@pytest.mark.parametrize(
    ("operator", "head"),
    [("Softmax", "softmax"), ("LogSoftmax", "log_softmax"), ("Sigmoid", "sigmoid")],
)
def test_source_that_gives_probabilities_is_compared_as_such(
    tmp_path: Path,
    exported_onnx: bytes,
    images: NDArray[np.uint8],
    card: ModelCard,
    operator: str,
    head: str,
) -> None:
    (tmp_path / "m.onnx").write_bytes(ending_in(exported_onnx, operator))
    source = open_model(tmp_path / "m.onnx", card, images)
    assert source.facts["removed_head"] == head
    assert source.facts["changes"] == [f"the {head.replace('_', '-')} at its end was removed"]
    fp32 = source_to_onnx(source, card.input)
    check_export(source, fp32, card, images)
    shifted = dataclasses.replace(source, sample_logits=source.sample_logits[::-1])
    with pytest.raises(ModelError, match="differs from"):
        check_export(shifted, fp32, card, images)


def test_source_that_gives_bounded_values_of_unknown_origin_is_refused(
    tiny_source: SourceModel, card: ModelCard
) -> None:
    bounded = dataclasses.replace(
        tiny_source, sample_logits=np.array([[0.2, 0.9, 0.4], [0.0, 1.0, 0.7]], np.float32)
    )
    with pytest.raises(ModelError, match="only values from 0 to 1"):
        check_logits(bounded, card, 2)


def test_shares_of_a_hundred_are_refused_as_probabilities(
    tiny_source: SourceModel, card: ModelCard
) -> None:
    shares = np.array([[70, 20, 10], [5, 5, 90]], np.float32)
    with pytest.raises(ModelError, match="each row sums to 100"):
        check_logits(dataclasses.replace(tiny_source, sample_logits=shares), card, 2)
    check_logits(dataclasses.replace(tiny_source, sample_logits=shares[[0, 0]]), card, 2)


def test_convert_of_a_sigmoid_says_that_confidences_are_others(
    model_folder: Path, exported_onnx: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (model_folder / "tiny.pt").write_bytes(ending_in(exported_onnx, "Sigmoid"))
    target = model_folder / "tiny.edge"
    assert main([str(model_folder / "tiny.pt"), "--out", str(target)]) == 0
    said = capsys.readouterr().out
    assert "note: the sigmoid at its end was removed" in said
    assert "warning: the model ended in a sigmoid" in said
    manifest = json.loads((target / "manifest.json").read_text())
    assert manifest["source"]["removed_head"] == "sigmoid"
