"""Weights are rounded for the layer's output, on patches that are what the layer reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from converters.correction.float_run import open_graph
from converters.correction.patches import PLACES, patch_covariance, sample_patches
from converters.correction.weight_rounding import _DIRECT, _inverse_of_lower, round_weights

RNG = np.random.default_rng(7)


def rounded(
    weight: NDArray[np.float32], covariance: NDArray[np.float64], steps: int = 127
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    scales = np.abs(weight.reshape(len(weight), -1)).max(axis=1) / np.float32(steps)
    return round_weights(weight, scales, steps, covariance), scales


def output_error(
    weight: NDArray[np.float32],
    integers: NDArray[Any],
    scales: NDArray[np.float32],
    covariance: NDArray[np.float64],
) -> float:
    size = covariance.shape[1]
    errors = weight.reshape(len(weight), -1) - integers.reshape(len(weight), -1) * scales[:, None]
    by_group = errors.reshape(len(covariance), -1, size)
    return float(np.einsum("gok,gkl,gol->", by_group, covariance, by_group))


def correlated(groups: int, size: int) -> NDArray[np.float64]:
    mixed = RNG.normal(size=(groups, size, size))
    shared = RNG.normal(size=(groups, size, 2)) * 5
    return np.asarray(mixed @ mixed.swapaxes(1, 2) / size + shared @ shared.swapaxes(1, 2))


@pytest.mark.parametrize("shape", [(16, 24, 1, 1), (8, 4, 3, 3), (12, 100)])
@pytest.mark.parametrize("steps", [63, 127])
def test_rounding_for_the_output_beats_the_nearest_where_inputs_vary_together(
    shape: tuple[int, ...], steps: int
) -> None:
    weight = RNG.normal(size=shape).astype(np.float32)
    covariance = correlated(1, weight[0].size)
    found, scales = rounded(weight, covariance, steps)
    nearest = np.rint(weight.reshape(len(weight), -1) / scales[:, None])
    assert np.abs(found.astype(int)).max() <= steps
    assert found.shape == shape
    error = output_error(weight, found, scales, covariance)
    assert error < 0.5 * output_error(weight, nearest, scales, covariance)


def test_rounding_of_channels_by_themselves_treats_each_by_its_own_covariance() -> None:
    weight = RNG.normal(size=(6, 1, 3, 3)).astype(np.float32)
    covariance = correlated(6, 9)
    found, scales = rounded(weight, covariance)
    for channel in range(6):
        one = slice(channel, channel + 1)
        alone = round_weights(weight[one], scales[one], 127, covariance[one])
        assert np.array_equal(found[one], alone)


def test_rounding_with_independent_inputs_is_to_the_nearest() -> None:
    weight = RNG.normal(size=(4, 10)).astype(np.float32)
    found, scales = rounded(weight, np.eye(10)[np.newaxis])
    assert np.array_equal(found, np.rint(weight / scales[:, None]))


def test_rounding_with_inputs_that_never_vary_is_to_the_nearest() -> None:
    weight = RNG.normal(size=(4, 1, 3, 3)).astype(np.float32)
    found, scales = rounded(weight, np.zeros((4, 9, 9)))
    assert np.array_equal(found, np.rint(weight / scales[:, None, None, None]))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("group", [1, 2, 4])
def test_patches_are_what_the_convolution_reads(stride: int, dilation: int, group: int) -> None:
    attributes: dict[str, Any] = {
        "strides": [stride] * 2,
        "dilations": [dilation] * 2,
        "pads": [1, 1, 1, 1],
        "group": group,
    }
    layer = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    weight = RNG.normal(size=(8, 4 // group, 3, 3)).astype(np.float32)
    # Few enough places that all of them are taken, in order.
    image = RNG.normal(size=(1, 4, 5, 3)).astype(np.float32)
    patches = sample_patches(layer, weight.shape, image, np.random.default_rng(0))
    applied = np.matmul(patches, weight.reshape(group, 8 // group, -1).transpose(0, 2, 1))
    wanted = torch.nn.functional.conv2d(
        torch.from_numpy(image), torch.from_numpy(weight), None, stride, 1, dilation, group
    )
    found = applied.transpose(0, 2, 1).reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("rule", ["SAME_UPPER", "SAME_LOWER"])
def test_patches_of_a_padding_by_rule_are_what_the_convolution_reads(
    rule: str, stride: int
) -> None:
    # The kernel is larger than the image.
    weight = RNG.normal(size=(4, 2, 4, 5)).astype(np.float32)
    image = RNG.normal(size=(1, 2, 3, 4)).astype(np.float32)
    layer = helper.make_node("Conv", ["x", "w"], ["y"], strides=[stride] * 2, auto_pad=rule)
    patches = sample_patches(layer, weight.shape, image, np.random.default_rng(0))
    graph = helper.make_graph(
        [layer],
        "padding",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, image.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (wanted,) = open_graph(model).run(None, {"x": image})
    found = (patches[0] @ weight.reshape(4, -1).T).T.reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_patches_of_an_image_in_windows_are_of_all_windows() -> None:
    layer = helper.make_node("Conv", ["x", "w"], ["y"])
    windows = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(3, 2, 2, 2)
    found = sample_patches(layer, (4, 2, 2, 2), windows, np.random.default_rng(0))
    np.testing.assert_array_equal(found, windows.reshape(1, 3, 8))


def test_patch_covariance_is_that_of_all_images_and_takes_some_places_of_each() -> None:
    layer = helper.make_node("Conv", ["x", "w"], ["y"])
    images = [RNG.normal(3, 2, size=(1, 2, 40, 40)).astype(np.float32) for _ in range(40)]
    found = patch_covariance(layer, (5, 2, 1, 1), images)
    assert found.shape == (1, 2, 2)
    np.testing.assert_allclose(found[0], [[4, 0], [0, 4]], atol=0.5)
    patches = sample_patches(layer, (5, 2, 1, 1), images[0], np.random.default_rng(0))
    assert patches.shape == (1, PLACES, 2)


def test_patch_covariance_of_values_far_from_zero_keeps_their_small_differences() -> None:
    layer = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    rows = (1000 + 0.01 * RNG.normal(size=(600, 1, 4))).astype(np.float32)
    found = patch_covariance(layer, (3, 4), list(rows))
    np.testing.assert_allclose(found[0], np.cov(rows[:, 0].T, bias=True), atol=2e-6)


def test_patch_covariance_of_a_linear_layer_is_that_of_its_inputs() -> None:
    layer = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    rows = RNG.normal(size=(50, 1, 6)).astype(np.float32)
    found = patch_covariance(layer, (3, 6), list(rows))
    np.testing.assert_allclose(found[0], np.cov(rows[:, 0].T, bias=True), rtol=1e-4, atol=1e-5)


def test_patches_of_a_convolution_over_one_dimension_are_what_it_reads() -> None:
    layer = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1])
    activation = np.random.default_rng(5).normal(size=(1, 2, 9)).astype(np.float32)
    found = sample_patches(layer, (4, 2, 3), activation, np.random.default_rng(6))
    padded = np.pad(activation[0], ((0, 0), (1, 1)))
    wanted = np.stack([padded[:, place : place + 3].ravel() for place in range(9)])
    np.testing.assert_array_equal(found, wanted[np.newaxis])


def test_inverse_of_a_large_triangle_is_its_inverse() -> None:
    size = _DIRECT + 5
    lower = np.tril(np.random.default_rng(7).normal(size=(size, size))) / size + 2 * np.eye(size)
    (found,) = _inverse_of_lower(lower[np.newaxis])
    np.testing.assert_allclose(found @ lower, np.eye(size), atol=1e-9)
