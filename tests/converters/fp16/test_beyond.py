"""Tests for converters.fp16: tensors and sums beyond the range of FP16."""

from __future__ import annotations

import numpy as np
import pytest

from converters.fp16.conversion import to_fp16
from converters.fp16.range_check import find_out_of_range
from converters.onnx_graph.lookup import tensor_types
from tests.converters.fp16.graphs import FLOAT, HALF, computed, f32
from tests.support.networks.graphs import evaluated, graph, some_images

LOUD = "e = Mul (f, gain) m = ReduceMax <axes = [1, 2, 3]> (e) y = Div (e, m)"


def test_tensors_beyond_fp16_are_named_with_their_size() -> None:
    found = find_out_of_range(graph(LOUD, gain=f32(1e6)[0]), some_images())
    assert sorted(found.tensors) == ["e", "m"]
    assert found.tensors["e"] >= found.tensors["m"] > 65_504


def test_what_reads_or_makes_a_tensor_beyond_fp16_stays_in_fp32() -> None:
    fp32 = graph(LOUD, gain=f32(1e6)[0])
    half = to_fp16(fp32, find_out_of_range(fp32, some_images()))
    types = tensor_types(half)
    assert (types["e"], types["m"], types["f"]) == (FLOAT, FLOAT, HALF)
    np.testing.assert_allclose(evaluated(half, some_images()), computed(fp32), atol=0.01)


@pytest.mark.parametrize(("gain", "kept"), [(10.0, []), (1e3, ["norm"])])
def test_norm_whose_sum_of_squares_leaves_fp16_stays_in_fp32(gain: float, kept: list[str]) -> None:
    body = """large = Mul (f, gain)
        norm = ReduceL2 <axes = [1], keepdims = 1> (large)
        y = Div (large, norm)"""
    fp32 = graph(body, gain=f32(gain)[0])
    found = find_out_of_range(fp32, some_images())
    assert sorted(found.sums) == kept
    assert not found.tensors
    half = to_fp16(fp32, found)
    assert tensor_types(half)["norm"] == (FLOAT if kept else HALF)
    np.testing.assert_allclose(evaluated(half, some_images()), computed(fp32), atol=2e-3)


WITHIN = {
    "layer": "y = LayerNormalization <axis = 1> (large, ones, zeros)",
    "instance": "n = InstanceNormalization (large, four, none) y = Relu (n)",
    "length": "y = LpNormalization <axis = 1> (large)",
    "mean": "m = ReduceMean <axes = [2, 3]> (large) y = Mul (m, part)",
    "average": "m = AveragePool <kernel_shape = [8, 8]> (large) y = Mul (m, part)",
    "logarithm": "s = Mul (large, part) y = ReduceLogSumExp <axes = [2, 3]> (s)",
}


@pytest.mark.parametrize("name", WITHIN)
def test_operator_with_a_sum_beyond_fp16_stays_in_fp32_and_its_readers_do_not(name: str) -> None:
    shape = (4, 8, 8)
    fp32 = graph(
        f"shifted = Add (f, one) large = Mul (shifted, gain) {WITHIN[name]}",
        one=f32(3)[0],
        gain=f32(1500)[0],
        part=f32(1 / 300)[0],
        ones=np.ones(shape, np.float32),
        zeros=np.zeros(shape, np.float32),
        four=np.ones(4, np.float32),
        none=np.zeros(4, np.float32),
    )
    found = find_out_of_range(fp32, some_images())
    assert not found.tensors
    assert len(found.sums) == 1
    half = to_fp16(fp32, found)
    assert tensor_types(half)["pooled"] == HALF
    expected = computed(fp32)
    np.testing.assert_allclose(evaluated(half, some_images()), expected, atol=0.01, rtol=0.01)
    if name in ("average", "logarithm"):
        # The reference sums these in FP32, or below their largest exponent.
        return
    assert not np.allclose(evaluated(to_fp16(fp32), some_images()), expected, rtol=0.05, atol=0.05)
