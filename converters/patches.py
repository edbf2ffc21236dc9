"""What a weighted layer reads for one place of its output, and how those readings vary together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

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
        inputs: what the layer reads of each image, (1, channels, height, width), (1, channels)
            or, for a MatMul, any shape with the channels last.
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
    if layer.op_type == "Gemm":
        return activation[np.newaxis]
    if layer.op_type == "MatMul":
        rows = activation.reshape(-1, activation.shape[-1])
        places = rng.choice(len(rows), min(PLACES, len(rows)), replace=False)
        return rows[np.newaxis, np.sort(places)]
    found = {a.name: helper.get_attribute_value(a) for a in layer.attribute}
    top, left, bottom, right = found.get("pads", (0, 0, 0, 0))
    padded = np.pad(activation[0], ((0, 0), (top, bottom), (left, right)))
    spread = [
        (size - 1) * step + 1
        for size, step in zip(weight_shape[2:], found.get("dilations", (1, 1)), strict=True)
    ]
    windows = np.lib.stride_tricks.sliding_window_view(padded, spread, axis=(1, 2))
    (down, across), (row, column) = found.get("strides", (1, 1)), found.get("dilations", (1, 1))
    windows = windows[:, ::down, ::across, ::row, ::column]
    height, width = windows.shape[1:3]
    count = min(PLACES, height * width)
    chosen = np.sort(rng.choice(height * width, count, replace=False))
    picked = windows[:, chosen // width, chosen % width]
    groups = found.get("group", 1)
    grouped = picked.reshape(groups, -1, count, weight_shape[2], weight_shape[3])
    return np.ascontiguousarray(grouped.swapaxes(1, 2)).reshape(groups, count, -1)
