from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from converters.loading.graph_file.graph import OPSET
from edge.errors import ModelError
from tests.support.networks.onnx_lab import Then, given_by, network, outputs_of, take, to_onnx


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


def behind_logits(
    nodes: list[onnx.NodeProto], *tensors: onnx.TensorProto, opset: int
) -> onnx.ModelProto:
    """The network with nodes behind its logits `l`, whose last output is the file's."""
    model = to_onnx(network(), opset=min(opset, 20), is_dynamic=True)
    model.opset_import[0].version = opset
    logits = helper.make_node("Identity", [model.graph.output[0].name], ["l"])
    model.graph.node.extend([logits, *nodes])
    model.graph.initializer.extend(tensors)
    model.graph.output[0].name = nodes[-1].output[0]
    return model


@pytest.mark.parametrize(("operator", "opset"), [("Upsample", 9), ("Resize", 10)])
def test_older_linear_resizing_still_begins_at_the_corner(operator: str, opset: int) -> None:
    scales = numpy_helper.from_array(np.array([1, 2], np.float32), "scales")
    resized = [
        helper.make_node(operator, ["l", "scales"], ["wide"], mode="linear"),
        # Of six values the second lies between the first two logits.
        helper.make_node("Slice", ["wide", "from", "to", "axis"], ["y"]),
    ]
    ends = [
        numpy_helper.from_array(np.array([v], np.int64), n)
        for n, v in {"from": 1, "to": 4, "axis": 1}.items()
    ]
    if opset < 10:
        resized[1] = helper.make_node("Slice", ["wide"], ["y"], starts=[1], ends=[4], axes=[1])
        ends = []
    taken = take(behind_logits(resized, scales, *ends, opset=opset))
    logits = given_by(network())
    between = (logits[:, :2] + logits[:, 1:]) / 2
    expected = np.stack([between[:, 0], logits[:, 1], between[:, 1]], 1)
    np.testing.assert_allclose(outputs_of(taken), expected, atol=1e-5)


def test_older_graph_that_onnxs_converter_changes_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = take(to_onnx(Then(lambda x: 2 * x), opset=17, is_dynamic=True)).model
    monkeypatch.setattr(onnx.version_converter, "convert_version", lambda *_: broken)
    with pytest.raises(ModelError, match=r"opset 11, and gives other outputs once brought to 17"):
        take(to_onnx(network(), opset=11, is_dynamic=True))


@pytest.mark.parametrize("operator", ["RMSNormalization", "GroupNormalization"])
def test_newer_norm_with_weights_that_nothing_else_types_is_written_out(operator: str) -> None:
    ones = numpy_helper.from_array(np.ones(3, np.float32), "ones")
    zeros = numpy_helper.from_array(np.zeros(3, np.float32), "zeros")
    node = {
        "RMSNormalization": helper.make_node("RMSNormalization", ["l", "ones"], ["y"], axis=-1),
        "GroupNormalization": helper.make_node(
            "GroupNormalization", ["l", "ones", "zeros"], ["y"], num_groups=1
        ),
    }[operator]
    opset = 23 if operator == "RMSNormalization" else 21
    taken = take(behind_logits([node], ones, zeros, opset=opset))
    assert taken.model.opset_import[0].version <= 18
    logits = given_by(network())
    centred = logits - logits.mean(1, keepdims=True) * (operator == "GroupNormalization")
    expected = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(outputs_of(taken), expected, atol=1e-4)


def test_norm_whose_bias_is_left_out_at_its_end_runs() -> None:
    ones = numpy_helper.from_array(np.ones(3, np.float32), "ones")
    node = helper.make_node("LayerNormalization", ["l", "ones", ""], ["y"], axis=-1)
    taken = take(behind_logits([node], ones, opset=17))
    logits = torch.from_numpy(given_by(network()))
    expected = torch.nn.functional.layer_norm(logits, (3,)).numpy()
    np.testing.assert_allclose(outputs_of(taken), expected, atol=1e-4)


@pytest.mark.parametrize(
    "opsets", [[("ai.onnx", 17)], [("", 17), ("ai.onnx", 13)], [("", 13), ("", 17)]]
)
@pytest.mark.parametrize("is_on_nodes", [True, False])
def test_second_name_of_the_standard_domain_is_one_with_the_first(
    opsets: list[tuple[str, int]], *, is_on_nodes: bool
) -> None:
    model = to_onnx(network())
    expected = outputs_of(take(model))
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*opset) for opset in opsets)
    for node in model.graph.node if is_on_nodes else ():
        node.domain = "ai.onnx"
    taken = take(model)
    assert [(found.domain, found.version) for found in taken.model.opset_import] == [("", 17)]
    assert {node.domain for node in taken.model.graph.node} == {""}
    np.testing.assert_array_equal(outputs_of(taken), expected)
