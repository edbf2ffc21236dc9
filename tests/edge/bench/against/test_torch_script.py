from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edge.bench.against.contenders import open_contenders
from edge.bench.against.torch_script import open_torch
from edge.bundle import Bundle
from edge.errors import BackendError
from edge.image_files.read import read_named_image
from edge.preprocess import Channels, preprocess


@pytest.fixture(autouse=True)
def _keep_threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_libraries")
def test_script_with_pytorch_gives_our_labels(bundle: Bundle, images: list[Path]) -> None:
    opened = open_contenders(["torch"], bundle, images, on_step=lambda _: None)
    (entry,) = opened.entries
    assert entry.why_not is None
    assert entry.labels_equal == len(images)
    assert entry.version == f"torch {torch.__version__}, Pillow 13.0.0, 0 batch normalisations"
    logits = opened.contenders[0].session.infer(np.full((2, 16, 16, 3), 100, np.uint8)).logits
    np.testing.assert_allclose(logits, np.full((2, 3), 10.0), atol=1e-4)
    opened.close()
    with pytest.raises(BackendError, match="closed"):
        opened.contenders[0].session.infer(np.zeros((1, 16, 16, 3), np.uint8))


@pytest.mark.usefixtures("_libraries")
def test_compiled_script_compiles_the_same_module(
    bundle: Bundle, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A fake compiler, as PyTorch's takes half a minute; it sees what is compiled, and calls it.
    compiled: list[torch.nn.Module] = []

    def compile_(module: torch.nn.Module) -> torch.nn.Module:
        compiled.append(module)
        return module

    monkeypatch.setattr(torch, "compile", compile_)
    contender = open_torch("torch-compile", bundle, 1)
    assert contender.label(images[1]) == "green"
    assert len(compiled) == 1
    open_torch("torch", bundle, 1)
    assert len(compiled) == 1


@pytest.mark.usefixtures("_libraries")
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_pixels_of_the_script_are_nearly_those_of_ours(
    bundle: Bundle, images: list[Path], channels: Channels, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(bundle.input, crop=0.5, channels=channels)
    contender = open_torch("torch", replace(bundle, input=spec), 1)
    seen: list[np.ndarray] = []
    infer = contender.session.infer

    def keep(batch: np.ndarray) -> object:
        seen.append(batch[0])
        return infer(batch)

    monkeypatch.setattr(contender.session, "infer", keep)
    contender.label(images[0])
    ours = preprocess(read_named_image(images[0]), spec)
    # Pillow and OpenCV round differently.
    assert np.abs(seen[0].astype(int) - ours).max() <= 2


@pytest.mark.usefixtures("_libraries")
def test_script_on_a_gpu_without_one_says_so(bundle: Bundle) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(BackendError, match="finds no CUDA device"):
        open_torch("torch-cuda", bundle, 1)


@pytest.mark.parametrize(
    ("module", "package"), [("torch", "pip install torch"), ("PIL", "pip install pillow")]
)
def test_script_without_its_libraries_names_the_package(
    bundle: Bundle, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BackendError, match=package):
        open_torch("torch", bundle, 1)
