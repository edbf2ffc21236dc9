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

from converters.card import read_card
from converters.checkpoint import SourceModel, open_model
from tests.support.tiny_network import CARD, CLASSES, TinyNetwork, train_tiny_network


@pytest.fixture(scope="session")
def tiny_network() -> TinyNetwork:
    return train_tiny_network()


@pytest.fixture
def model_folder(
    tmp_path: Path,
    tiny_network: TinyNetwork,
    colour_jpeg: Callable[..., bytes],
) -> Path:
    """A folder with tiny.pt, its card, calibration and labelled validation images."""
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


@pytest.fixture(scope="session")
def tiny_source(tiny_network: TinyNetwork, tmp_path_factory: pytest.TempPathFactory) -> SourceModel:
    """The state dict as the converter opens it; one child process for all tests that need it."""
    folder = tmp_path_factory.mktemp("source")
    torch.save(tiny_network.state_dict(), folder / "tiny.pt")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CARD))
    return open_model(folder / "tiny.pt", read_card(folder / "tiny.yaml"), sample_images())


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
    """The images whose logits `tiny_source` holds."""
    return sample_images()


def sample_images() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3)).astype(np.uint8)
