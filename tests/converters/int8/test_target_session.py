"""A graph is judged by what its target computes, whatever processor the conversion runs on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from converters.int8 import target_session
from converters.int8.target_session import may_be_fused, open_as_target
from converters.layers.placement import TENSORRT, X86, X86_7BIT
from edge.backends.onnx import open_onnx
from tests.support.networks.graphs import operators_at_run_time

PIXELS = 8


def quantized_conv(weight: int) -> onnx.ModelProto:
    """A convolution in Q/DQ form whose every product is 255 times `weight`, the scales 1.

    Two such products exceed 16 bits from a weight of 65 on.
    """
    constants: dict[str, NDArray[np.generic]] = {
        "one": np.array(1, np.float32),
        # The sum over 4 channels, back in 8 bits.
        "sum_scale": np.array(weight * 4, np.float32),
        "zero": np.array(0, np.uint8),
        "weight_zero": np.array(0, np.int8),
        "weight_q": np.full((1, 4, 1, 1), weight, np.int8),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("QuantizeLinear", ["floats", "one", "zero"], ["images_q"]),
        helper.make_node("DequantizeLinear", ["images_q", "one", "zero"], ["images_dq"]),
        helper.make_node("DequantizeLinear", ["weight_q", "one", "weight_zero"], ["weight"]),
        helper.make_node("Conv", ["images_dq", "weight"], ["sums"]),
        helper.make_node("QuantizeLinear", ["sums", "sum_scale", "zero"], ["sums_q"]),
        helper.make_node("DequantizeLinear", ["sums_q", "sum_scale", "zero"], ["pixels"]),
        helper.make_node("Flatten", ["pixels"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "conv",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ("n", 4, PIXELS, PIXELS))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("n", PIXELS**2))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_graph_for_vnni_computes_here_what_it_computes_there() -> None:
    images = np.full((1, 4, PIXELS, PIXELS), 255, np.uint8)
    logits = open_as_target(quantized_conv(127), X86).infer(images).logits
    np.testing.assert_allclose(logits, 255 * 127 * 4, rtol=0.005)


def test_graph_of_seven_bits_computes_the_same_fused_and_as_written() -> None:
    images = np.full((1, 4, PIXELS, PIXELS), 255, np.uint8)
    content = quantized_conv(63).SerializeToString()
    for optimise in (True, False):
        logits = open_onnx(content, "int8", optimise=optimise).infer(images).logits
        np.testing.assert_allclose(logits, 255 * 63 * 4, rtol=0.005)


def test_only_a_graph_whose_kernels_are_its_targets_is_fused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {}
    for has_vnni in (True, False):
        monkeypatch.setattr(target_session, "has_vnni", lambda has=has_vnni: has)
        found[has_vnni] = [p.name for p in (X86, X86_7BIT, TENSORRT) if may_be_fused(p)]
    assert found == {True: ["x86", "x86-7bit"], False: ["x86-7bit"]}


def test_fused_graph_does_hold_an_integer_convolution(tmp_path: Path) -> None:
    # Or the tests above would compare float with float.
    assert "QLinearConv" in operators_at_run_time(quantized_conv(127), tmp_path)
