from __future__ import annotations

import numpy as np
import pytest
import torch

from converters.architectures.efficientnet_lite0 import EfficientNetLite0
from converters.reference.training.temperature import fit_temperature, fold_temperature


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_fit_temperature_undoes_the_scale_of_logits_whose_confidence_was_right(
    scale: float,
) -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (20_000, 4)).astype(np.float32)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1)
    assert fit_temperature(logits * scale, labels) == pytest.approx(scale, rel=0.05)


def test_fold_temperature_divides_the_logits() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0(3).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        before = network(images)
        fold_temperature(network, 0.5)
        after = network(images)
    assert torch.allclose(after, before * 2, atol=1e-5)
