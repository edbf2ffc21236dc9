"""Rounds a layer's weights so that the layer's output changes least.

Weights are rounded to the nearest step one after the other. After each, the remaining weights are
changed to compensate for its effect on the layer's output on the calibration images (Frantar et
al., GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers, ICLR 2023).
The aim is that of AdaRound (Nagel et al., Up or Down? Adaptive Rounding for Post-Training
Quantization, ICML 2020), but in closed form: it needs no training, and seconds for a network.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# This share of the mean variance is added to each variance, as in GPTQ.
_DAMPING: Final = 0.01
# Keeps the matrix invertible if an input is constant.
_LEAST_VARIANCE: Final = 1e-12
# Weights after this block are updated once per block: one matrix product is faster than many.
_BLOCK: Final = 64
# Larger triangular matrices are inverted by halves.
_DIRECT: Final = 128


def round_weights(
    weight: NDArray[np.float32], scales: NDArray[np.float32], steps: int, covariance: Floats
) -> NDArray[np.int8]:
    """The integers for a weight (outputs, ...) with the smallest error in the layer's output.

    Args:
        scales: one per output channel (outputs,).
        steps: the largest integer.
        covariance: of the input values under the kernel, (groups, size, size).
    """
    groups, size, _ = covariance.shape
    rows = weight.astype(np.float64).reshape(groups, -1, size)
    row_scales = scales.astype(np.float64).reshape(groups, -1, 1)
    nearest = np.clip(np.rint(rows / row_scales), -steps, steps)
    # Weights with the largest input variance are rounded first, so that the others can compensate.
    order = np.argsort(-covariance.diagonal(axis1=1, axis2=2), axis=1, kind="stable")
    across, down = order[:, np.newaxis, :], order[:, :, np.newaxis]
    ordered = np.take_along_axis(np.take_along_axis(covariance, down, 1), across, 2)
    turned = np.empty_like(nearest)
    in_turn = _round_in_turn(np.take_along_axis(rows, across, 2), row_scales, steps, ordered)
    np.put_along_axis(turned, np.broadcast_to(across, turned.shape), in_turn, 2)
    is_better = _output_error(rows - turned * row_scales, covariance) < _output_error(
        rows - nearest * row_scales, covariance
    )
    found = np.where(is_better[:, :, np.newaxis], turned, nearest)
    return np.asarray(found.reshape(weight.shape), np.int8)


def _round_in_turn(rows: Floats, scales: Floats, steps: int, covariance: Floats) -> Floats:
    """Integers (groups, outputs, size), rounded one position of the weight after the other."""
    factor = _inverse_factor(covariance)
    left, integers = rows.copy(), np.empty_like(rows)
    size = rows.shape[2]
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        errors = np.empty((*rows.shape[:2], end - start))
        for i in range(start, end):
            rounded = np.clip(np.rint(left[:, :, i] / scales[:, :, 0]), -steps, steps)
            error = (left[:, :, i] - rounded * scales[:, :, 0]) / factor[:, i, i, np.newaxis]
            left[:, :, i:end] -= error[:, :, np.newaxis] * factor[:, np.newaxis, i, i:end]
            integers[:, :, i], errors[:, :, i - start] = rounded, error
        left[:, :, end:] -= errors @ factor[:, start:end, end:]
    return integers


def _inverse_factor(covariance: Floats) -> Floats:
    """Upper triangular U (groups, size, size); U'U is the inverse of the damped covariance."""
    size = covariance.shape[1]
    variance = covariance.trace(axis1=1, axis2=2)[:, np.newaxis, np.newaxis] / size
    damped = covariance + np.eye(size) * (_DAMPING * variance + _LEAST_VARIANCE)
    lower = np.linalg.cholesky(damped[:, ::-1, ::-1])
    return np.asarray(_inverse_of_lower(lower)[:, ::-1, ::-1], np.float64)


def _inverse_of_lower(lower: Floats) -> Floats:
    """The inverse of lower triangular matrices (groups, size, size).

    Large ones are inverted by halves, in a fifth to half of the time of the general inverse.
    """
    size = lower.shape[1]
    if size <= _DIRECT:
        return np.asarray(np.linalg.inv(lower), np.float64)
    half = size // 2
    inverse = np.zeros_like(lower)
    first, last = (
        _inverse_of_lower(lower[:, :half, :half]),
        _inverse_of_lower(lower[:, half:, half:]),
    )
    inverse[:, :half, :half], inverse[:, half:, half:] = first, last
    inverse[:, half:, :half] = -last @ lower[:, half:, :half] @ first
    return inverse


def _output_error(errors: Floats, covariance: Floats) -> Floats:
    """Variance of each output (groups, outputs) that the errors of its weights cause."""
    return np.asarray(((errors @ covariance) * errors).sum(axis=2), np.float64)
