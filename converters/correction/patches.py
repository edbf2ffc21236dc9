"""Covariance of the input values under a weighted layer's kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from math import ceil, prod
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.onnx_graph.lookup import attribute

# Sampled output positions per image. Neighbouring ones see nearly the same input: 64 positions in
# each of 256 images gave cells8 no better result.
PLACES: Final = 16
_STACKED_PLACES: Final = 512
_SEED: Final = 12345
# auto_pad rules: the output has ceil(input size / stride) positions.
_SAME_SIZE: Final = (b"SAME_UPPER", b"SAME_LOWER")


def patch_covariance(
    layer: onnx.NodeProto, weight_shape: tuple[int, ...], inputs: Iterable[NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Covariance of the input values under a layer's kernel, (groups, size, size).

    It is taken over sampled positions of all images. `size` is the number of weights of one output
    channel. The mean is subtracted, because a bias can correct it.

    Args:
        weight_shape: with the output channels first.
        inputs: the layer's input for each image: (windows, channels, spatial ...) for a
            convolution, else any shape with the channels last.
    """
    rng = np.random.default_rng(_SEED)
    sampled = (sample_patches(layer, weight_shape, found, rng) for found in inputs)
    stacks = _stacked(sampled)
    first = next(stacks)
    # Values are taken relative to an approximate mean, for numerical precision.
    origin = first.mean(axis=1, keepdims=True)
    sums: NDArray[np.float64] | float = 0.0
    products: NDArray[np.float64] | float = 0.0
    count = 0
    for patches in chain([first], stacks):
        centred = patches - origin
        sums = sums + centred.sum(axis=1, dtype=np.float64)
        products = products + np.matmul(centred.transpose(0, 2, 1), centred)
        count += patches.shape[1]
    mean = np.asarray(sums) / count
    return np.asarray(products / count - mean[:, :, np.newaxis] * mean[:, np.newaxis, :])


def _stacked(patches: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Concatenate patches of several images: one large product is faster than many small ones."""
    waiting: list[NDArray[np.float32]] = []
    for found in patches:
        waiting.append(found)
        if sum(one.shape[1] for one in waiting) >= _STACKED_PLACES:
            yield np.concatenate(waiting, axis=1)
            waiting = []
    if waiting:
        yield np.concatenate(waiting, axis=1)


def sample_patches(
    layer: onnx.NodeProto,
    weight_shape: tuple[int, ...],
    activation: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Values under the kernel at up to `PLACES` positions of one image, (groups, places, size)."""
    if layer.op_type != "Conv":
        rows = activation.reshape(-1, activation.shape[-1])
        chosen = rng.choice(len(rows), min(PLACES, len(rows)), replace=False)
        return rows[np.newaxis, np.sort(chosen)]
    sizes = weight_shape[2:]
    ones = (1,) * len(sizes)
    strides, dilations = attribute(layer, "strides", ones), attribute(layer, "dilations", ones)
    spread = [(size - 1) * step + 1 for size, step in zip(sizes, dilations, strict=True)]
    padding = _padding(layer, activation.shape[2:], spread, strides)
    # The batch dimension, which may be the windows of one image, is sampled like a spatial one.
    padded = np.pad(activation.swapaxes(0, 1), ((0, 0), (0, 0), *padding))
    axes = tuple(range(2, len(sizes) + 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, spread, axis=axes)
    windows = windows[:, :, *(slice(None, None, step) for step in (*strides, *dilations))]
    grid = windows.shape[1 : len(sizes) + 2]
    count = min(PLACES, prod(grid))
    chosen = np.sort(rng.choice(prod(grid), count, replace=False))
    places: tuple[Any, ...] = (slice(None), *np.unravel_index(chosen, grid))
    picked = windows[places]
    groups = attribute(layer, "group", 1)
    grouped = picked.reshape(groups, -1, count, prod(sizes))
    return np.ascontiguousarray(grouped.swapaxes(1, 2)).reshape(groups, count, -1)


def _padding(
    layer: onnx.NodeProto,
    places: Sequence[int],
    spread: Sequence[int],
    strides: Sequence[int],
) -> list[tuple[int, int]]:
    """Number of zeros before and after each spatial dimension of a convolution's input.

    Args:
        places: sizes of the spatial dimensions.
        spread: sizes of the dilated kernel.
    """
    rule = attribute(layer, "auto_pad", b"NOTSET")
    if rule not in _SAME_SIZE:
        pads = attribute(layer, "pads", (0, 0) * len(places))
        return list(zip(pads[: len(places)], pads[len(places) :], strict=True))
    found = []
    for place, size, stride in zip(places, spread, strides, strict=True):
        zeros = max((ceil(place / stride) - 1) * stride + size - place, 0)
        less, more = zeros // 2, zeros - zeros // 2
        found.append((less, more) if rule == b"SAME_UPPER" else (more, less))
    return found
