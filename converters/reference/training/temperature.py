"""Folds a temperature into a network, so that its confidence matches its accuracy.

Training with label smoothing makes a network underconfident. The logits are divided by one number,
which changes no label.
"""

from __future__ import annotations

import torch

from converters.architectures.efficientnet_lite0 import EfficientNetLite0


def fold_temperature(network: EfficientNetLite0, temperature: float) -> None:
    """Divide the classifier's weights and biases, and so the logits, by a temperature."""
    with torch.no_grad():
        network.classifier.weight.div_(temperature)
        network.classifier.bias.div_(temperature)
