"""Graphs in FP16: what stays in FP32, what they compute, and who can read them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from converters.fp16.conversion import to_fp16
from converters.fp16.range_check import OutOfRange, find_out_of_range
from converters.int8.tensorrt_graph import for_tensorrt
from converters.onnx_graph.lookup import opset_of, tensor_types
from tests.converters.fp16.graphs import FLOAT, HALF, computed, f32
from tests.support.networks.graphs import evaluated, graph, some_images


def i64(*values: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(values, np.int64)


BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "resize by scales": (
        'y = Resize <mode = "linear"> (f, , factors)',
        {"factors": f32(1, 1, 2, 2)},
    ),
    "resize by sizes": (
        'y = Resize <mode = "nearest"> (f, , , sizes)',
        {"sizes": i64(1, 4, 12, 12)},
    ),
    "resize to a size computed in floats": (
        """s = Shape (f)
           sf = Cast <to = 1> (s)
           grown = Mul (sf, factors)
           sizes = Cast <to = 7> (grown)
           y = Resize <mode = "nearest"> (f, , , sizes)""",
        {"factors": f32(1, 1, 1.5, 1.5)},
    ),
    "pad": (
        "y = Pad (f, widths, filling)",
        {"widths": i64(0, 0, 1, 1, 0, 0, 1, 1), "filling": f32(0.5)[0]},
    ),
    "range": (
        "steps = Range (zero, eight, one) y = Add (f, steps)",
        {"zero": f32(0)[0], "eight": f32(8)[0], "one": f32(1)[0]},
    ),
    "constant of shape": (
        """shape = Shape (f)
           ones = ConstantOfShape <value = float[1] {1.5}> (shape)
           y = Add (f, ones)""",
        {},
    ),
    "one hot": (
        """best = ArgMax <axis = 1, keepdims = 0> (f)
           hot = OneHot <axis = 1> (best, depth, values)
           y = Add (f, hot)""",
        {"depth": np.asarray(4, np.int64), "values": f32(0, 1)},
    ),
    "eye like": (
        """square = ReduceMean <axes = [0, 1], keepdims = 0> (f)
           eye = EyeLike <dtype = 1> (square)
           y = Add (f, eye)""",
        {},
    ),
    "grid sample": (
        """batch = Shape <end = 1> (f)
           many = Concat <axis = 0> (batch, rest)
           grid = Expand (one_grid, many)
           y = GridSample (f, grid)""",
        {
            "rest": i64(8, 8, 2),
            "one_grid": np.random.default_rng(2).uniform(-1, 1, (1, 8, 8, 2)).astype(np.float32),
        },
    ),
    "mask of minus a thousand million": (
        "keep = Greater (f, zero) m = Where (keep, f, lowest) y = Softmax <axis = 1> (m)",
        {"zero": f32(-9)[0], "lowest": f32(-1e9)[0]},
    ),
    "norm with a tiny epsilon": (
        """n = ReduceL2 <axes = [1]> (f)
           safe = Max (n, epsilon)
           y = Div (f, safe)""",
        {"epsilon": f32(1e-12)[0]},
    ),
    "powers": (
        "a = Abs (f) b = Add (a, exponent) y = Pow (b, exponent)",
        {"exponent": f32(1.7)[0]},
    ),
    "branch that reads outside": (
        """size = Size (f)
           is_many = Greater (size, few)
           y = If (is_many) <
             then_branch = a () => (float[b, c, h, w] t) { t = Mul (f, two) },
             else_branch = e () => (float[b, c, h, w] u) { u = Identity (f) }
           >""",
        {"few": np.asarray(3, np.int64), "two": f32(2)[0]},
    ),
    "loop that reads outside": (
        """y = Loop (rounds, go, f) <
             body = b (int64 i, bool go, float[b, c, h, w] state)
                 => (bool again, float[b, c, h, w] next) {
               again = Identity (go)
               next = Add (state, f)
             }
           >""",
        {"rounds": np.asarray(2, np.int64), "go": np.ones((), np.bool_)},
    ),
    "recurrent": (
        """flat = Reshape (f, rows)
           steps = Transpose <perm = [2, 0, 1]> (flat)
           , hidden = LSTM <hidden_size = 4> (steps, w, r)
           forward = Squeeze (hidden, axis)
           y = Unsqueeze (forward, ends)""",
        {
            "rows": i64(0, 4, 64),
            "axis": i64(0),
            "ends": i64(2, 3),
            "w": np.random.default_rng(3).normal(0, 0.3, (1, 16, 4)).astype(np.float32),
            "r": np.random.default_rng(4).normal(0, 0.3, (1, 16, 4)).astype(np.float32),
        },
    ),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning:onnx.reference")
def test_graph_in_fp16_is_legal_and_computes_nearly_the_same(name: str) -> None:
    body, constants = BODIES[name]
    fp32 = graph(body, **constants)
    half = for_tensorrt(fp32, half_floats=True, out_of_range=find_out_of_range(fp32, some_images()))
    onnx.checker.check_model(half, full_check=True)
    assert tensor_types(half)["f"] == HALF
    expected = computed(fp32)
    tolerance = 0.01 * float(np.ptp(expected))
    np.testing.assert_allclose(computed(half), expected, atol=tolerance)
    if name != "recurrent":  # which the reference evaluator computes in another layout
        really = evaluated(half, some_images())
        assert really.dtype == np.float32
        np.testing.assert_allclose(really, expected, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("resize by scales", ["factors"]),
        ("resize to a size computed in floats", ["sf", "grown", "factors"]),
        ("range", ["zero", "eight", "one", "steps"]),
        ("grid sample", ["one_grid", "grid"]),
    ],
)
def test_sizes_scales_and_places_stay_in_fp32(name: str, kept: list[str]) -> None:
    body, constants = BODIES[name]
    types = tensor_types(to_fp16(graph(body, **constants)))
    assert {tensor: types[tensor] for tensor in kept} == dict.fromkeys(kept, FLOAT)


def test_value_of_a_pad_has_the_type_of_what_is_padded() -> None:
    body, constants = BODIES["pad"]
    half = to_fp16(graph(body, **constants))
    assert tensor_types(half)["filling"] == HALF


def test_constant_that_keeps_a_divisor_from_zero_does_not_become_zero() -> None:
    body, constants = BODIES["norm with a tiny epsilon"]
    half = to_fp16(graph(body, **constants))
    (epsilon,) = (t for t in half.graph.initializer if t.name == "epsilon")
    assert 0 < numpy_helper.to_array(epsilon) < 1e-6


def test_constant_read_in_both_types_is_there_in_both() -> None:
    half = to_fp16(
        graph(
            "a = Mul (f, two) s = Range (two, ten, one) y = Add (a, s)",
            two=f32(2)[0],
            ten=f32(10)[0],
            one=f32(1)[0],
        )
    )
    types = {t.name: t.data_type for t in half.graph.initializer if t.name.startswith("two")}
    assert sorted(types.values()) == [FLOAT, HALF]


def test_reductions_of_a_quantized_graph_are_converted_to_the_opset_of_fp16_scales() -> None:
    model = graph(
        """q = QuantizeLinear (f, step, zero)
           dq = DequantizeLinear (q, step, zero)
           m = ReduceMean <axes = [2, 3]> (dq)
           top = ReduceMax <axes = [1]> (dq)
           two = Concat <axis = 1> (top, top)
           a, b = Split <axis = 1> (two)
           y = Add (m, a)""",
        step=f32(0.02)[0],
        zero=np.asarray(0, np.int8),
    )
    half = to_fp16(model)
    assert opset_of(half) == 19
    (mean,) = (node for node in half.graph.node if node.op_type == "ReduceMean")
    assert not [a for a in mean.attribute if a.name == "axes"]
    assert len(mean.input) == 2
    onnx.checker.check_model(half, full_check=True)
    np.testing.assert_allclose(computed(half), computed(model), atol=0.02)


def test_newer_opset_is_not_relabelled() -> None:
    model = graph(
        "q = QuantizeLinear (f, step, zero) y = DequantizeLinear (q, step, zero)",
        opset=21,
        step=f32(0.02)[0],
        zero=np.asarray(0, np.int8),
    )
    assert opset_of(to_fp16(model)) == 21


def test_quantizers_of_a_weight_have_the_type_of_the_layer_that_reads_it() -> None:
    weight = np.random.default_rng(5).normal(0, 0.3, (4, 4, 1, 1)).astype(np.float32)
    model = graph(
        """e = Mul (f, gain)
           eq = QuantizeLinear (e, wide, zero)
           ed = DequantizeLinear (eq, wide, zero)
           wq = QuantizeLinear (weight, step, zero)
           wd = DequantizeLinear (wq, step, zero)
           y = Conv (ed, wd)""",
        gain=f32(1e6)[0],
        wide=f32(2e4)[0],
        step=f32(0.01)[0],
        zero=np.asarray(0, np.int8),
        weight=weight,
    )
    half = to_fp16(model, OutOfRange({"e": 1e6}))
    types = tensor_types(half)
    assert {types[name] for name in ("e", "ed", "wd")} == {FLOAT}
    assert not [n for n in half.graph.node if n.op_type == "Cast" and "wd" in n.input]
