"""Layers whose first dimension counts parts of one image, as windows and patches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from converters.accuracy import statistics as metrics
from converters.correction.float_run import run_float
from converters.correction.layer_correction import correct_layers
from converters.int8.onnx_to_int8 import Int8Model, quantize
from converters.int8.target_session import open_as_target
from converters.layers.placement import TENSORRT8, X86, Placement
from edge.backends.onnx import open_onnx
from tests.support.networks.calibrated import SPEC
from tests.support.networks.graphs import graph, some_images

Rounded = Mapping[str, NDArray[np.int8]]


def in_windows() -> onnx.ModelProto:
    """Four windows of each image, one after another in the batch, through a convolution."""
    rng = np.random.default_rng(3)
    model = graph(
        """split = Reshape (f, windows)
        moved = Transpose <perm = [0, 2, 4, 1, 3, 5]> (split)
        batch = Reshape (moved, one_by_one)
        inner = Conv <pads = [1, 1, 1, 1]> (batch, weight)
        kept = Relu (inner)
        image = Reshape (kept, of_image)
        y = ReduceMean <axes = [1], keepdims = 0> (image)""",
        windows=np.array([-1, 4, 2, 4, 2, 4]),
        one_by_one=np.array([-1, 4, 4, 4]),
        weight=rng.normal(0, 0.3, (4, 4, 3, 3)).astype(np.float32),
        of_image=np.array([-1, 4, 4, 4, 4]),
    )
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type} {number}"
    return onnx.shape_inference.infer_shapes(model)


@pytest.mark.parametrize("placement", [X86, TENSORRT8], ids=lambda p: p.name)
def test_correction_takes_all_windows_of_an_image(placement: Placement) -> None:
    model, images = in_windows(), some_images(8)
    reference = run_float(model, images)
    inner = next(node.name for node in model.graph.node if "inner" in node.output)
    assert reference.channel_means[inner].shape == (8, 4)
    ranges: dict[str, Any] = {
        "scaled": (0.0, 1.0),
        "batch": (-4.0, 4.0),
        "f": (-4.0, 4.0),
        "kept": (0.0, 8.0),
    }

    def quantized(source: onnx.ModelProto, rounded: Rounded) -> Int8Model:
        return quantize(source, ranges, SPEC, placement, rounded=rounded)

    plain = quantized(model, {})
    corrected = correct_layers(model, quantized, placement, reference)
    assert len(corrected.quantized_layers) == 2
    wanted = open_onnx(model.SerializeToString(), "fp32").infer(images).logits
    before, after = (
        metrics.divergence(wanted, open_as_target(m.model, placement).infer(images).logits).mean()
        for m in (plain, corrected)
    )
    assert after < before
