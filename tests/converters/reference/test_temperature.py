from __future__ import annotations

import torch

from converters.architectures.efficientnet_lite0 import EfficientNetLite0
from converters.reference.training.temperature import fold_temperature


def test_fold_temperature_divides_the_logits() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0(3).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        before = network(images)
        fold_temperature(network, 0.5)
        after = network(images)
    assert torch.allclose(after, before * 2, atol=1e-5)
