"""What a weighted layer reads for one place of its output, and how those readings vary together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from math import prod
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.onnx_graph.lookup import attribute

# Neighbouring places read nearly the same: 64 of each of 256 images brought cells8 no closer.
PLACES: Final = 16
_STACKED_PLACES: Final = 512
_SEED: Final = 12345


def patch_covariance(
    layer: onnx.NodeProto, weight_shape: tuple[int, ...], inputs: Iterable[NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Covariance of the values under a layer's kernel, (groups, size, size).

    Over some places of every image; the mean, which a bias can correct, is left out. A size is
    that of one output channel's weight.

    Args:
        weight_shape: with the output channels first.
        inputs: what the layer reads of each image, (1, channels, places ...) or, but
            for a convolution, any shape with the channels last.
    """
    rng = np.random.default_rng(_SEED)
    sampled = (sample_patches(layer, weight_shape, found, rng) for found in inputs)
    stacks = _stacked(sampled)
    first = next(stacks)
    # Near its mean a value's square does not swamp its variance.
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
    """Patches of several images in one array: one large product is faster than many small ones."""
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
    """Values under the kernel at up to `PLACES` places of one image, (groups, places, size)."""
    if layer.op_type != "Conv":
        rows = activation.reshape(-1, activation.shape[-1])
        chosen = rng.choice(len(rows), min(PLACES, len(rows)), replace=False)
        return rows[np.newaxis, np.sort(chosen)]
    sizes = weight_shape[2:]
    ones = (1,) * len(sizes)
    pads = attribute(layer, "pads", (0, 0) * len(sizes))
    dilations = attribute(layer, "dilations", ones)
    before, after = pads[: len(sizes)], pads[len(sizes) :]
    padded = np.pad(activation[0], ((0, 0), *zip(before, after, strict=True)))
    spread = [(size - 1) * step + 1 for size, step in zip(sizes, dilations, strict=True)]
    axes = tuple(range(1, len(sizes) + 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, spread, axis=axes)
    steps = (*attribute(layer, "strides", ones), *dilations)
    windows = windows[:, *(slice(None, None, step) for step in steps)]
    grid = windows.shape[1 : len(sizes) + 1]
    count = min(PLACES, prod(grid))
    chosen = np.sort(rng.choice(prod(grid), count, replace=False))
    places: tuple[Any, ...] = (slice(None), *np.unravel_index(chosen, grid))
    picked = windows[places]
    groups = attribute(layer, "group", 1)
    grouped = picked.reshape(groups, -1, count, prod(sizes))
    return np.ascontiguousarray(grouped.swapaxes(1, 2)).reshape(groups, count, -1)
