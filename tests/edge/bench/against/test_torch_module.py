from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from converters.export.torch_to_onnx import fold, source_to_onnx
from edge.backends.onnx import open_onnx
from edge.bench.against.onnx_nodes import read_nodes
from edge.bench.against.torch_module import count_of_norms, to_module
from edge.errors import BackendError
from tests.support.networks.calibrated import ALL, SPEC, exported
from tests.support.networks.graphs import graph, some_images
from tests.support.networks.transformers import TRANSFORMERS

FLOATS = np.float32

POOL, PADDED = "kernel_shape = [3, 3], strides = [2, 2]", "pads = [1, 1, 1, 1]"
BODIES = {
    "max pool, padded": f"y = MaxPool <{POOL}, {PADDED}> (f)",
    "max pool, padded on one side": "y = MaxPool <kernel_shape = [2, 2], pads = [0, 0, 1, 1]> (f)",
    "max pool, rounded up": f"y = MaxPool <{POOL}, ceil_mode = 1> (f)",
    "average pool, padded": f"y = AveragePool <{POOL}, {PADDED}> (f)",
    "average pool of its padding": f"y = AveragePool <{POOL}, {PADDED}, count_include_pad = 1> (f)",
    "convolution, padded on one side": "y = Conv <pads = [0, 0, 1, 1]> (f, second)",
    "convolution by groups": "y = Conv <group = 4> (f, depthwise)",
    "batch norm": "y = BatchNormalization <epsilon = 0.01> (f, four, four, four, four)",
    "clip with no upper end": "y = Clip (f, none)",
    "clip": "y = Clip (f, none, one)",
    "activations": "a = HardSigmoid <alpha = 0.3, beta = 0.4> (f)\n b = HardSwish (a)\n"
    " c = LeakyRelu <alpha = 0.2> (b)\n d = Tanh (c)\n e = Sigmoid (d)\n y = Erf (e)",
    "arithmetic": "a = Mul (f, f)\n b = Sub (a, one)\n c = Pow (b, two)\n d = Div (c, two)\n"
    " e = Exp (d)\n y = Sqrt (e)",
    "concat and softmax": "a = Softmax <axis = 1> (f)\n y = Concat <axis = 2> (a, f)",
    "mean of the axes": "a = ReduceMean <axes = [2, 3], keepdims = 0> (f)\n"
    " b = Unsqueeze (a, last)\n y = Unsqueeze (b, last)",
    "reshape that keeps the batch": "a = Reshape (f, rows)\n y = Reshape (a, square)",
    "dropout": "y = Dropout (f)",
}


def given(model: onnx.ModelProto, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """ONNX Runtime's logits, without optimisations: onnx's own evaluator pads MaxPool wrongly."""
    session = open_onnx(model.SerializeToString(), "fp32", optimise=False)
    return session.infer(images).logits


@pytest.mark.parametrize("body", BODIES)
def test_operator_in_pytorch_is_that_of_onnx(body: str) -> None:
    rng = np.random.default_rng(3)
    model = graph(
        BODIES[body],
        second=rng.normal(0, 0.3, (4, 4, 2, 2)).astype(FLOATS),
        depthwise=rng.normal(0, 0.3, (4, 1, 3, 3)).astype(FLOATS),
        four=np.asarray([0.5, 1.0, 1.5, 2.0], FLOATS),
        none=np.asarray(0, FLOATS),
        one=np.asarray(1, FLOATS),
        two=np.asarray(2, FLOATS),
        last=np.asarray([-1]),
        rows=np.asarray([0, 4, -1]),
        square=np.asarray([0, 0, 8, 8]),
    )
    images = some_images()
    with torch.inference_mode():
        (found,) = to_module(read_nodes(model.SerializeToString()))(torch.from_numpy(images))
    np.testing.assert_allclose(found.numpy(), given(model, images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [*ALL, "convnext"])
def test_network_in_pytorch_gives_the_logits_of_its_graph(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    batch = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    network = {**ALL, **TRANSFORMERS}[name](8).eval()
    source = exported(network, batch, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = source_to_onnx(source, SPEC)
    with torch.inference_mode():
        module = to_module(read_nodes(model.SerializeToString()))
        found = module(torch.from_numpy(batch))[0].numpy()
    np.testing.assert_allclose(found, given(model, batch), rtol=1e-3, atol=1e-5)


def test_folded_batch_norm_is_run_again_and_changes_nothing() -> None:
    body = "a = Conv (f, second)\n y = BatchNormalization (a, four, four, four, four)"
    second = np.random.default_rng(3).normal(0, 0.3, (4, 4, 2, 2)).astype(FLOATS)
    model = graph(body, second=second, four=np.asarray([0.5, 1.0, 1.5, 2.0], FLOATS))
    folded = fold(model)  # as the converter does it
    assert "BatchNormalization" not in {node.op_type for node in folded.graph.node}
    module = to_module(read_nodes(folded.SerializeToString()))
    assert count_of_norms(module) == 1
    with torch.inference_mode():
        (found,) = module(torch.from_numpy(some_images()))
    np.testing.assert_allclose(found.numpy(), given(model, some_images()), rtol=1e-4, atol=1e-5)


def test_graph_with_another_operator_is_refused_by_its_name() -> None:
    model = graph("y = Selu (f)")
    with pytest.raises(BackendError, match="without a translation: Selu"):
        to_module(read_nodes(model.SerializeToString()))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('y = Conv <auto_pad = "SAME_UPPER"> (f, second)', "auto_pad SAME_UPPER"),
        ("a = Identity (none)\n y = Clip (f, a)", "computes the argument a of Clip"),
        ("y = AveragePool <kernel_shape = [2, 2], pads = [0, 0, 1, 1]> (f)", "differs by side"),
        ("a = Cast <to = 11> (f)\n y = Cast <to = 1> (a)", "casts to another type"),
    ],
)
def test_operator_that_is_not_followed_is_refused(body: str, reason: str) -> None:
    model = graph(body, second=np.zeros((4, 4, 2, 2), FLOATS), none=np.asarray(0, FLOATS))
    with pytest.raises(BackendError, match=reason):
        to_module(read_nodes(model.SerializeToString()))


def test_operator_of_onnxruntime_alone_is_refused() -> None:
    model = graph("y = Relu (f)")
    (node,) = (node for node in model.graph.node if node.op_type == "Relu")
    node.domain = "com.microsoft"
    with pytest.raises(BackendError, match=r"com\.microsoft Relu, which only ONNX Runtime"):
        read_nodes(model.SerializeToString())


def test_constant_of_a_node_is_read() -> None:
    model = graph("y = Relu (f)")
    value = onnx.numpy_helper.from_array(np.asarray([1.5], FLOATS), "value")
    model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["half"], value=value))
    nodes = read_nodes(model.SerializeToString())
    assert nodes.constants["half"].tolist() == [1.5]
    assert "Constant" not in {node.kind for node in nodes.nodes}
