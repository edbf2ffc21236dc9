"""A small trained network for the converter's tests: it tells three colours apart."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

CLASSES = ("red", "green", "blue")
CARD = {
    "name": "tiny",
    "version": "1.0",
    "architecture": "tiny_network_of_tests:build",
    "classes": list(CLASSES),
    "input": {
        "height": 32,
        "width": 32,
        "channels": "rgb",
        "resize": "area",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
    "unidentified_below": 0.5,
}


class TinyNetwork(nn.Module):
    """Two convolutions with a residual, a mean over space and a linear layer."""

    def __init__(self, class_count: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()
        )
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU())
        self.classifier = nn.Linear(8, class_count)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images)
        features = features + self.second(features)
        logits: Tensor = self.classifier(features.mean([2, 3]))
        return logits


def train_tiny_network() -> TinyNetwork:
    torch.manual_seed(3)
    network = TinyNetwork(3)
    colours = torch.eye(3).repeat(16, 1)[:, :, None, None] * 3.0 - 1.0
    images = colours + 0.3 * torch.randn(48, 3, 32, 32)
    labels = torch.arange(48) % 3
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.eval()


@pytest.fixture(scope="session")
def tiny_network() -> TinyNetwork:
    return train_tiny_network()


@pytest.fixture
def model_folder(
    tmp_path: Path,
    tiny_network: TinyNetwork,
    colour_jpeg: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder with tiny.pt, its card, calibration and labelled validation images."""
    import sys
    import types

    module = types.ModuleType("tiny_network_of_tests")
    module.build = TinyNetwork  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tiny_network_of_tests", module)
    torch.save(tiny_network.state_dict(), tmp_path / "tiny.pt")
    (tmp_path / "tiny.yaml").write_text(
        yaml.safe_dump({**CARD, "calibration": "calibration", "validation": "validation"})
    )
    for number in range(48):
        name = CLASSES[number % 3]
        for path in (
            tmp_path / "calibration" / f"{number}.jpg",
            tmp_path / "validation" / name / f"{number}.jpg",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(colour_jpeg(name, seed=number + len(path.parts)))
    return tmp_path


@pytest.fixture
def exported_onnx(tiny_network: TinyNetwork) -> bytes:
    """The small network as a person would export it: float, channels first."""
    import warnings

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            tiny_network,
            (torch.zeros(1, 3, 32, 32),),
            buffer,  # type: ignore[arg-type]  # accepted, though not annotated
            dynamo=False,
            opset_version=17,
            input_names=["x"],
            output_names=["y"],
        )
    return buffer.getvalue()


@pytest.fixture
def images() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3)).astype(np.uint8)
