from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from converters.loading.canonical.outputs import choose
from edge.errors import ModelError
from tests.support.networks.onnx_lab import Then, given_by, network, outputs_of, take, to_onnx

LOGITS = np.array([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]], np.float32)
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
FEATURES = np.zeros((2, 16), np.float32)


@pytest.mark.parametrize(
    ("outputs", "chosen"),
    [
        ({"y": LOGITS}, "y"),
        ({"features": FEATURES, "y": LOGITS}, "y"),
        ({"p": PROBABILITIES, "y": LOGITS}, "y"),
        ({"y": LOGITS, "p": 1 / (1 + np.exp(-LOGITS))}, "y"),
        ({"l": np.log(PROBABILITIES), "y": LOGITS}, "y"),
        ({"y": LOGITS, "again": LOGITS.copy()}, "y"),
        ({"label": np.zeros((2, 3), np.int64), "y": LOGITS}, "y"),
        ({"y": LOGITS[:, :, None, None]}, "y"),
        ({"p": PROBABILITIES, "best": np.zeros(2, np.int64)}, "p"),
    ],
)
def test_choose_takes_the_logits(outputs: dict[str, Any], chosen: str) -> None:
    assert choose(outputs, "m.onnx", 3) == chosen


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (
            {"y": FEATURES},
            r"gives output y of shape \(n, 16\) .* the card's 3 classes need \(n, 3\)",
        ),
        ({"a": LOGITS, "b": LOGITS[:, ::-1] * 2}, r"2 outputs of 3 classes \(a, b\)"),
        ({}, "gives no tensor for n images"),
    ],
)
def test_choose_without_one_of_the_width_names_them(outputs: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        choose(outputs, "m.onnx", 3)


@pytest.mark.parametrize(
    "behind",
    [
        lambda logits: (torch.cat([logits, logits], 1), logits),
        lambda logits: (logits.softmax(1), logits),
        lambda logits: logits[:, :, None, None],
        lambda logits: logits[:, None],
        lambda logits: logits.argmax(1),
        lambda logits: (logits.argmax(1), logits),
        lambda logits: logits.max(1),
    ],
    ids=["features", "softmax", "map", "row", "argmax", "label", "max"],
)
def test_onnx_with_other_outputs_gives_its_logits(behind: Callable[[Tensor], Any]) -> None:
    taken = take(to_onnx(Then(behind)))
    (output,) = taken.model.graph.output
    assert [d.dim_value for d in output.type.tensor_type.shape.dim][1:] == [3]
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)


def test_list_of_dictionaries_gives_its_scores() -> None:
    net = network()
    model = to_onnx(net, is_dynamic=True)
    scores = model.graph.output[0].name
    node = helper.make_node(
        "ZipMap", [scores], ["z"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]
    )
    model.graph.node.append(node)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    entry = helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    )
    del model.graph.output[:]
    kind = helper.make_sequence_type_proto(entry)
    model.graph.output.append(helper.make_value_info("z", kind))
    onnx.checker.check_model(model)
    np.testing.assert_allclose(outputs_of(take(model)), given_by(net), atol=1e-5)


def test_output_without_a_shape_gives_its_logits() -> None:
    model = to_onnx(network(), is_dynamic=True)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    np.testing.assert_allclose(outputs_of(take(model)), given_by(network()), atol=1e-5)


@pytest.mark.parametrize("is_computed", [False, True])
def test_output_that_no_image_changes_is_left_out(*, is_computed: bool) -> None:
    model = to_onnx(network(), is_dynamic=True)
    model.graph.initializer.append(helper.make_tensor("shares", TensorProto.FLOAT, [1, 3], [1] * 3))
    name = "priors" if is_computed else "shares"
    if is_computed:
        model.graph.node.append(helper.make_node("Log", ["shares"], ["priors"]))
    model.graph.output.insert(0, helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]))
    taken = take(model)
    assert taken.changes == [f"outputs that no image changes were left out: {name}"]
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)


@pytest.mark.parametrize("axes", [{}, {"axes": [0]}], ids=["all", "first"])
def test_output_that_lost_its_batch_of_one_gives_its_logits(axes: dict[str, Any]) -> None:
    model = to_onnx(network(), opset=11)
    logits = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Squeeze", [logits], ["y"], **axes))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [3]))
    np.testing.assert_allclose(outputs_of(take(model)), given_by(network()), atol=1e-5)


def test_name_of_the_best_class_alone_gives_the_scores_that_it_was_chosen_from() -> None:
    model = to_onnx(network(), is_dynamic=True)
    best = helper.make_node("ArgMax", [model.graph.output[0].name], ["best"], axis=1, keepdims=0)
    model.graph.node.extend([best, helper.make_node("Gather", ["names", "best"], ["y"])])
    names = numpy_helper.from_array(np.array(["a", "b", "c"], object), "names")
    model.graph.initializer.append(names)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.STRING, ["n"]))
    np.testing.assert_allclose(outputs_of(take(model)), given_by(network()), atol=1e-5)
