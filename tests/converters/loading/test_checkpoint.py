"""Every kind of model file gives the same network, told apart by its content."""

from __future__ import annotations

import argparse
import hashlib
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from converters.inputs.card import read_card
from converters.loading.checkpoint import SourceKind, SourceModel, open_model
from edge.errors import ConfigError, ModelError
from tests.support.networks.tiny_network import CARD, TinyNetwork

Save = Callable[[TinyNetwork, Path], None]
BATCH_OF_TWO = torch.zeros(2, 3, 32, 32)


@pytest.fixture(autouse=True)
def _quiet_torch() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates its own TorchScript
        yield


@pytest.fixture
def expected(tiny_source: SourceModel) -> NDArray[np.float32]:
    return tiny_source.sample_logits


def open_file(path: Path, images: NDArray[np.uint8], **kw: Any) -> SourceModel:
    card = path.parent / "card.yaml"
    card.write_text(yaml.safe_dump(CARD))
    return open_model(path, read_card(card), images, **kw)


def prefixed(network: TinyNetwork, prefix: str) -> dict[str, Tensor]:
    return {prefix + name: weight for name, weight in network.state_dict().items()}


def wrong(network: TinyNetwork) -> dict[str, Tensor]:
    return {name: weight * 0 for name, weight in network.state_dict().items()}


def save_scripted(network: TinyNetwork, path: Path) -> None:
    torch.jit.save(torch.jit.script(network), path)


def save_traced(network: TinyNetwork, path: Path) -> None:
    torch.jit.save(torch.jit.trace(network, BATCH_OF_TWO), path)  # type: ignore[no-untyped-call]


def save_exported(network: TinyNetwork, path: Path, *, dynamic: bool = False) -> None:
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    program = torch.export.export(network, (BATCH_OF_TWO,), dynamic_shapes=shapes)
    torch.export.save(program, path)


def save_exported_dynamic(network: TinyNetwork, path: Path) -> None:
    # torch.export.save insists on the suffix, the converter does not.
    save_exported(network, path.with_suffix(".pt2"), dynamic=True)
    path.with_suffix(".pt2").rename(path)


def save_legacy(network: TinyNetwork, path: Path) -> None:
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)


def save_half(network: TinyNetwork, path: Path) -> None:
    halves = {name: weight.half() for name, weight in network.state_dict().items()}
    torch.save({"model": halves, "epoch": 3}, path)


@pytest.mark.parametrize(
    ("save", "name", "kind"),
    [
        (lambda n, p: torch.save(n.state_dict(), p), "a.onnx", SourceKind.STATE_DICT),
        (save_legacy, "a.pth", SourceKind.STATE_DICT),
        (lambda n, p: save_file(n.state_dict(), p), "a.pt", SourceKind.SAFETENSORS),
        (save_scripted, "a.onnx", SourceKind.TORCHSCRIPT),
        (save_traced, "a.pt", SourceKind.TORCHSCRIPT),
        (save_exported, "a.pt2", SourceKind.EXPORTED_PROGRAM),
        (save_exported_dynamic, "a.pt", SourceKind.EXPORTED_PROGRAM),
    ],
    ids=["state_dict", "legacy", "safetensors", "scripted", "traced", "exported", "dynamic"],
)
def test_open_model_of_any_kind_gives_the_network_and_its_logits(
    tmp_path: Path,
    tiny_network: TinyNetwork,
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
    save: Save,
    name: str,
    kind: SourceKind,
) -> None:
    save(tiny_network, tmp_path / name)
    source = open_file(tmp_path / name, images)
    assert source.kind is kind
    assert source.facts == {}
    assert source.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    np.testing.assert_allclose(source.sample_logits, expected, atol=1e-4)
    onnx.checker.check_model(source.graph)


def test_open_model_of_onnx_named_pt_gives_its_logits_without_torch(
    tmp_path: Path,
    exported_onnx: bytes,
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
) -> None:
    (tmp_path / "a.pt").write_bytes(exported_onnx)
    source = open_file(tmp_path / "a.pt", images)
    assert source.kind is SourceKind.ONNX
    np.testing.assert_allclose(source.sample_logits, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("build", "facts"),
    [
        (
            lambda n: {"state_dict": prefixed(n, "model."), "pytorch-lightning_version": "2.5"},
            {"key": "state_dict", "ema": False, "prefix": "model.", "left_out": []},
        ),
        (
            lambda n: {
                "state_dict": wrong(n),
                "state_dict_ema": prefixed(n, "module.") | {"n_averaged": torch.tensor(9)},
                "args": argparse.Namespace(lr=0.1, folder=Path("x")),
                "metric": np.float64(0.9),
            },
            {
                "key": "state_dict_ema",
                "ema": True,
                "prefix": "module.",
                "left_out": ["n_averaged"],
            },
        ),
        (
            lambda n: {"model": wrong(n), "ema": {"module": prefixed(n, ""), "decay": 0.999}},
            {"key": "ema.module", "ema": True},
        ),
        (
            lambda n: {"net": prefixed(n, "module._orig_mod."), "epoch": 4},
            {"key": "net", "ema": False, "prefix": "module._orig_mod.", "left_out": []},
        ),
    ],
    ids=["lightning", "timm", "nested", "compiled"],
)
def test_open_model_of_checkpoint_says_what_it_chose(
    tmp_path: Path,
    tiny_network: TinyNetwork,
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
    build: Callable[[TinyNetwork], dict[str, Any]],
    facts: dict[str, Any],
) -> None:
    torch.save(build(tiny_network), tmp_path / "a.ckpt")
    source = open_file(tmp_path / "a.ckpt", images)
    assert source.kind is SourceKind.CHECKPOINT
    assert source.facts == facts
    np.testing.assert_allclose(source.sample_logits, expected, atol=1e-4)


def test_open_model_of_half_precision_weights_computes_in_float(
    tmp_path: Path,
    tiny_network: TinyNetwork,
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
) -> None:
    save_half(tiny_network, tmp_path / "a.pt")
    found = open_file(tmp_path / "a.pt", images).sample_logits
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_open_model_of_unknown_dictionary_names_its_keys(
    tmp_path: Path, images: NDArray[np.uint8]
) -> None:
    torch.save({"optimizer": {"lr": 0.1}, "epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(ModelError, match="dictionary of optimizer, epoch"):
        open_file(tmp_path / "a.pt", images)


def test_open_model_of_other_weights_names_what_does_not_fit(
    tmp_path: Path, tiny_network: TinyNetwork, images: NDArray[np.uint8]
) -> None:
    weights = prefixed(tiny_network, "module.")
    weights["module.extra.weight"] = torch.zeros(1)
    torch.save(weights, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r'Unexpected key\(s\) in state_dict: "extra.weight"'):
        open_file(tmp_path / "a.pt", images)


@pytest.mark.parametrize("channels", [1, 4])
def test_open_model_of_torchscript_for_other_channels_says_so(
    tmp_path: Path, images: NDArray[np.uint8], channels: int
) -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(channels, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    torch.jit.save(torch.jit.script(network), tmp_path / "m.pt")
    with pytest.raises(ModelError, match=f"takes images of {channels} channels?, 3 are needed"):
        open_file(tmp_path / "m.pt", images)


def test_open_model_through_a_link_opens_the_file(
    tmp_path: Path, exported_onnx: bytes, images: NDArray[np.uint8]
) -> None:
    (tmp_path / "real").write_bytes(exported_onnx)
    (tmp_path / "a.pt").symlink_to(tmp_path / "real")
    assert open_file(tmp_path / "a.pt", images).kind is SourceKind.ONNX


def test_open_model_of_trusted_pickle_says_so_in_its_facts(
    tmp_path: Path,
    tiny_network: TinyNetwork,
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
) -> None:
    path = tmp_path / "a.pt"
    torch.save({"model": None, "ema": tiny_network}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = open_file(path, images, trust_pickle=f"sha256:{digest}")
    assert source.kind is SourceKind.PICKLED_MODULE
    assert source.facts["trusted_pickle"] is True
    assert source.facts["key"] == "ema"
    assert "tests.support.networks.tiny_network.TinyNetwork" in source.facts["names_run"]
    np.testing.assert_allclose(source.sample_logits, expected, atol=1e-4)


def test_open_model_with_malformed_trust_is_a_usage_error(
    tmp_path: Path, images: NDArray[np.uint8]
) -> None:
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        open_file(tmp_path / "a.pt", images, trust_pickle="sha256:12")


def test_importing_the_converter_imports_no_torch() -> None:
    import subprocess

    code = "import sys, converters.convert; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
