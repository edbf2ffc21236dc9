from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from converters.loading.graph import OPSET
from edge.errors import ModelError
from tests.support.onnx_lab import Then, given_by, network, outputs_of, take, to_onnx


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 16, 18, 20])
def test_graph_of_any_opset_is_brought_to_the_one_that_is_read(opset: int) -> None:
    module = Then(lambda x: x - x.mean(1, keepdim=True)).eval()
    taken = take(to_onnx(module, opset=opset, is_dynamic=True))
    assert taken.model.opset_import[0].version == OPSET
    np.testing.assert_allclose(outputs_of(taken), given_by(module), atol=1e-5)


def test_operator_that_is_newer_is_written_out() -> None:
    net = network()
    model = to_onnx(net, opset=20, is_dynamic=True)
    logits = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Gelu", [logits], ["y"]))
    model.graph.output[0].name = "y"
    onnx.checker.check_model(model)
    taken = take(model)
    assert taken.model.opset_import[0].version == OPSET
    expected = torch.nn.functional.gelu(torch.from_numpy(given_by(net))).numpy()
    np.testing.assert_allclose(outputs_of(taken), expected, atol=1e-5)


def test_operator_without_a_way_back_in_onnxs_converter_is_brought_back() -> None:
    net = network()
    model = to_onnx(net, opset=18, is_dynamic=True)
    logits = model.graph.output[0].name
    nodes = [
        helper.make_node("Split", [logits], ["a", "b"], axis=1, num_outputs=2),
        helper.make_node("Concat", ["b", "a"], ["y"], axis=1),
    ]
    model.graph.node.extend(nodes)
    model.graph.output[0].name = "y"
    onnx.checker.check_model(model)
    taken = take(model)
    assert taken.model.opset_import[0].version == OPSET
    np.testing.assert_allclose(outputs_of(taken), given_by(net)[:, [2, 0, 1]], atol=1e-5)


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ("com.microsoft", "as ONNX Runtime writes it .* as it was exported, before that"),
        ("ai.onnx.ml", "scikit-learn.* up to its logits"),
        ("mine", "Export it without custom operators"),
    ],
)
def test_operator_of_another_domain_is_refused_with_what_the_file_is(
    domain: str, said: str
) -> None:
    model = to_onnx(network())
    model.graph.node[0].domain, model.graph.node[0].op_type = domain, "FusedConv"
    with pytest.raises(ModelError, match=rf"m\.onnx uses FusedConv of domain {domain}.*{said}"):
        take(model)
