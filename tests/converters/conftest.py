"""A small trained network for the converter's tests: it tells three colours apart."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray

from converters.cli import main
from converters.inputs.card import read_card
from converters.loading.checkpoint import SourceModel, open_model
from tests.support.images import Jpeg
from tests.support.networks.tiny_network import CARD, CLASSES, TinyNetwork, train_tiny_network


@pytest.fixture(scope="session")
def tiny_network() -> TinyNetwork:
    return train_tiny_network()


@pytest.fixture(scope="session")
def model_origin(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_network: TinyNetwork,
    colour_jpeg: Jpeg,
) -> Path:
    """What `model_folder` is a copy of; no test changes it."""
    folder = tmp_path_factory.mktemp("model")
    torch.save(tiny_network.state_dict(), folder / "tiny.pt")
    (folder / "tiny.yaml").write_text(
        yaml.safe_dump({**CARD, "calibration": "calibration", "validation": "validation"})
    )
    for number in range(48):
        name = CLASSES[number % 3]
        for seed, place in enumerate((Path("calibration"), Path("validation") / name)):
            path = folder / place / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(colour_jpeg(name, seed=2 * number + seed))
    return folder


@pytest.fixture
def model_folder(model_origin: Path, tmp_path: Path) -> Path:
    """A folder with tiny.pt, its card, calibration and labelled validation images."""
    return Path(shutil.copytree(model_origin, tmp_path, dirs_exist_ok=True))


@pytest.fixture(scope="session")
def converted_origin(model_origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `converted` is a copy of; no test changes it."""
    folder = tmp_path_factory.mktemp("converted") / "model"
    shutil.copytree(model_origin, folder)
    words = ["--int8", "--tensorrt8", "--out", str(folder / "tiny.edge")]
    assert main([str(folder / "tiny.pt"), *words]) == 0
    return folder


@pytest.fixture
def converted(converted_origin: Path, tmp_path: Path) -> Path:
    """The bundle of tiny.pt, with the graph for TensorRT 8, beside what it was made of."""
    folder = Path(shutil.copytree(converted_origin, tmp_path / "model"))
    return folder / "tiny.edge"


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
