"""The INT8 graph: what ONNX Runtime makes of it, and how close it stays."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from converters.calibration import Ranges, calibrate
from converters.card import ModelCard, read_card
from converters.checkpoint import open_model
from converters.image_set import load_images
from converters.onnx_to_int8 import Int8Model, image_parameters, quantize
from converters.qdq import activation_parameters, weight_scales
from converters.torch_to_onnx import normalise, source_to_onnx
from edge.backends.onnx import open_onnx
from edge.preprocess import InputSpec


@pytest.fixture
def card(model_folder: Path) -> ModelCard:
    return read_card(model_folder / "tiny.yaml")


@pytest.fixture
def fp32(model_folder: Path, card: ModelCard) -> onnx.ModelProto:
    return source_to_onnx(open_model(model_folder / "tiny.pt", card), card.input)


@pytest.fixture
def ranges(model_folder: Path, card: ModelCard, fp32: onnx.ModelProto) -> Ranges:
    images = load_images(model_folder / "calibration")
    return calibrate(fp32, images, card.input, lambda *_: None)


@pytest.fixture
def int8(fp32: onnx.ModelProto, ranges: Ranges, card: ModelCard) -> Int8Model:
    return quantize(fp32, ranges, card.input)


def operators_at_run_time(model: onnx.ModelProto, folder: Path) -> Counter[str]:
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(n.op_type for n in onnx.load(folder / "optimised.onnx").graph.node)


def test_source_to_onnx_equals_the_source_on_bytes(
    model_folder: Path, card: ModelCard, fp32: onnx.ModelProto, images: NDArray[np.uint8]
) -> None:
    source = open_model(model_folder / "tiny.pt", card)
    expected = source.reference(normalise(images, card.input))
    found = open_onnx(fp32.SerializeToString(), "fp32").infer(images)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_source_to_onnx_holds_no_mean_over_space_and_no_batch_norm(
    fp32: onnx.ModelProto,
) -> None:
    operators = {node.op_type for node in fp32.graph.node}
    assert "GlobalAveragePool" in operators
    assert not operators & {"ReduceMean", "BatchNormalization"}


def test_quantize_makes_every_layer_run_in_integers(int8: Int8Model, tmp_path: Path) -> None:
    operators = operators_at_run_time(int8.model, tmp_path)
    assert operators["QLinearConv"] == 2
    assert operators["QLinearAdd"] == 1
    assert operators["QLinearGlobalAveragePool"] == 1
    assert operators["QGemm"] == 1
    assert not {"Conv", "FusedConv", "Gemm", "Relu", "Clip"} & set(operators)
    assert int8.float_layers == ()


def test_quantize_stays_close_to_float(
    int8: Int8Model, fp32: onnx.ModelProto, model_folder: Path, card: ModelCard
) -> None:
    from converters.image_set import image_batches

    (batch,) = image_batches(load_images(model_folder / "calibration"), card.input, 64)
    exact = open_onnx(fp32.SerializeToString(), "fp32").infer(batch)
    found = open_onnx(int8.model.SerializeToString(), "int8").infer(batch)
    assert np.abs(found - exact).max() / np.ptp(exact) < 0.03


def test_quantize_without_range_leaves_the_layer_in_float_and_says_so(
    fp32: onnx.ModelProto, ranges: Ranges, card: ModelCard, images: NDArray[np.uint8]
) -> None:
    gemm = next(node for node in fp32.graph.node if node.op_type == "Gemm")
    known = {k: v for k, v in ranges.by_tensor.items() if k != gemm.input[0]}
    result = quantize(fp32, Ranges(known, 48, ""), card.input)
    assert result.float_layers == (gemm.name,)
    assert len(result.quantized_layers) == 2
    open_onnx(result.model.SerializeToString(), "int8").infer(images)


def test_quantize_twice_gives_the_same_bytes(
    fp32: onnx.ModelProto, ranges: Ranges, card: ModelCard
) -> None:
    first, second = (
        quantize(fp32, ranges, card.input).model.SerializeToString(deterministic=True)
        for _ in range(2)
    )
    assert first == second


def test_image_parameters_are_exact_where_the_mean_is_a_whole_level() -> None:
    spec = InputSpec(8, 8, "rgb", "area", (127 / 255,) * 3, (128 / 255,) * 3)
    found = image_parameters(spec)
    assert found is not None
    scale, zero_point = found
    pixels = np.arange(256)
    exact = (pixels / 255 - 127 / 255) / (128 / 255)
    np.testing.assert_allclose((pixels - zero_point) * scale, exact, atol=1e-12)


def test_image_parameters_of_imagenet_normalisation_are_none(card: ModelCard) -> None:
    assert image_parameters(card.input) is None


@pytest.mark.parametrize("limits", [(0.0, 6.0), (-1.0, 3.0), (2.0, 5.0), (-4.0, -1.0), (0.0, 0.0)])
def test_activation_parameters_represent_zero_exactly(limits: tuple[float, float]) -> None:
    scale, zero_point = activation_parameters(limits)
    assert scale > 0
    assert 0 <= zero_point <= 255
    low, high = -zero_point * scale, (255 - zero_point) * scale
    assert low <= min(limits[0], 0) + scale / 2
    assert high >= max(limits[1], 0) - scale / 2


def test_weight_scales_with_large_bias_keep_the_bias_within_32_bits() -> None:
    weight = np.full((2, 1, 1, 1), 1e-9, np.float32)
    bias = np.array([5.0, 0.0], np.float32)
    scales = weight_scales(weight, bias, input_scale=0.01)
    assert np.abs(bias / (scales * 0.01)).max() <= 2**30
