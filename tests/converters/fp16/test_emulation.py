"""FP16 is judged by what a GPU computes: rounded after each operator, with overflow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.fp16.conversion import to_fp16
from converters.fp16.emulation import emulate_fp16
from converters.int8.target_session import open_as_target
from converters.layers.placement import TENSORRT, TENSORRT8
from edge.backends.onnx import open_onnx
from edge.postprocess import softmax
from tests.support.networks.graphs import evaluated, graph, some_images

LOUD = "e = Mul (f, gain) m = ReduceMax <axes = [1, 2, 3]> (e) y = Div (e, m)"
GAIN = np.asarray(1e6, np.float32)


@pytest.mark.parametrize("optimise", [True, False])
def test_overflow_of_fp16_gives_no_numbers(*, optimise: bool) -> None:
    content = emulate_fp16(to_fp16(graph(LOUD, gain=GAIN))).SerializeToString()
    logits = open_onnx(content, "fp16", optimise=optimise).infer(some_images()).logits
    assert not np.isfinite(logits).any()


def test_digits_that_fp16_has_not_are_lost() -> None:
    # 2048 and a fraction: FP16 has steps of two there.
    body = "big = Add (f, offset) y = Sub (big, offset)"
    model = graph(body, offset=np.asarray(4096, np.float32))
    exact = open_onnx(model.SerializeToString(), "fp32").infer(some_images()).logits
    half = emulate_fp16(to_fp16(model)).SerializeToString()
    found = open_onnx(half, "fp16").infer(some_images()).logits
    assert np.abs(found - exact).max() > 0.05
    really = evaluated(to_fp16(model), some_images())
    np.testing.assert_allclose(found, really, atol=0.01)


def test_rounded_graph_gives_the_probabilities_of_real_fp16(converted: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    for name, placement in (("fp16.trt", None), ("int8.trt", TENSORRT)):
        model = onnx.load(converted / f"model.{name}.onnx")
        really = evaluated(model, images)
        session = (
            open_onnx(emulate_fp16(model).SerializeToString(), "fp16")
            if placement is None
            else open_as_target(model, placement)
        )
        np.testing.assert_allclose(
            softmax(session.infer(images).logits), softmax(really), atol=0.005
        )


def test_graph_for_tensorrt_8_is_judged_in_the_fp16_that_it_may_choose() -> None:
    model = graph(LOUD, gain=GAIN)
    assert not np.isfinite(open_as_target(model, TENSORRT8).infer(some_images()).logits).any()
    assert TENSORRT8.may_choose_fp16
    assert not TENSORRT8.half_floats
