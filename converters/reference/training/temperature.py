"""Temperature scaling, so that confidence matches accuracy (Guo et al., ICML 2017).

Training with label smoothing makes a network underconfident. The logits are divided by one number,
which changes no label; it is folded into the classifier's weights.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from converters.architectures.efficientnet_lite0 import EfficientNetLite0

TEMPERATURES: Final = np.exp(np.linspace(np.log(0.2), np.log(5.0), 401))


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature with the highest likelihood of the labels.

    Args:
        logits: shape (images, classes).
        labels: indices of the classes, shape (images,).
    """
    losses = [_loss(logits.astype(np.float64) / t, labels) for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def fold_temperature(network: EfficientNetLite0, temperature: float) -> None:
    """Divide the classifier's weights and biases, and so the logits, by a temperature."""
    with torch.no_grad():
        network.classifier.weight.div_(temperature)
        network.classifier.bias.div_(temperature)


def _loss(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean negative logarithm of the label's probability."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    sums = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(sums - shifted[np.arange(len(labels)), labels]))
