"""Files that were saved on a GPU are opened on the CPU."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from converters.loading.checks.devices import on_cpu
from converters.loading.sandbox.messages import SourceKind

Change = Callable[[str, bytes], bytes]
_Target = TypeVar("_Target", Path, io.BytesIO)


class Network(nn.Module):
    """Makes a tensor itself, so that its device stands in the code; has a constant tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, 3)

    def forward(self, images: Tensor) -> Tensor:
        offset = torch.arange(3, dtype=torch.float32, device=images.device)
        logits: Tensor = self.linear(images.flatten(1)) + offset + torch.tensor([1.0, 2.0, 3.0])
        return logits


def rewritten(buffer: io.BytesIO, target: _Target, change: Change) -> _Target:
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, change(name.partition("/")[2], source.read(name)))
    return target


def exported(network: nn.Module, images: Tensor, path: Path, device: str) -> Path:
    """A .pt2 file as a machine with such a device writes it."""
    kind, _, index = device.partition(":")

    def change(entry: str, content: bytes) -> bytes:
        new = f'"type": "{kind}", "index": {index or "null"}'.encode()
        if entry.endswith("sample_inputs/model.pt"):
            return rewritten(io.BytesIO(content), io.BytesIO(), in_pickles).getvalue()
        return content.replace(b'"type": "cpu", "index": null', new)

    def in_pickles(entry: str, content: bytes) -> bytes:
        return (
            content.replace(_pickled("cpu"), _pickled(device)) if entry == "data.pkl" else content
        )

    buffer = io.BytesIO()
    torch.export.save(torch.export.export(network, (images,)), buffer)
    return rewritten(buffer, path, change)


def _pickled(device: str) -> bytes:
    return len(device).to_bytes(4, "little") + device.encode()


def traced(network: nn.Module, images: Tensor, path: Path, device: str) -> Path:
    def change(entry: str, content: bytes) -> bytes:
        if entry.endswith(".pkl"):
            return content.replace(_pickled("cpu"), _pickled(device))
        return content.replace(b'torch.device("cpu")', f'torch.device("{device}")'.encode())

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates its own TorchScript
        torch.jit.save(torch.jit.trace(network, images), buffer)  # type: ignore[no-untyped-call]
    return rewritten(buffer, path, change)


@pytest.mark.parametrize("device", ["cuda:0", "cuda:3", "cuda", "mps:0", "xpu:1"])
def test_exported_program_of_another_device_gives_its_logits_on_the_cpu(
    tmp_path: Path, device: str
) -> None:
    network, images = Network().eval(), torch.rand(2, 3, 2, 2)
    path = exported(network, images, tmp_path / "m.pt2", device)
    copy = on_cpu(path, SourceKind.EXPORTED_PROGRAM)
    assert copy != path
    with copy.open("rb") as file:
        program = torch.export.load(file)
    assert torch.allclose(program.module()(images), network(images))


@pytest.mark.parametrize("device", ["cuda:0", "cuda:3", "xpu:1"])
def test_torchscript_of_another_device_gives_its_logits_on_the_cpu(
    tmp_path: Path, device: str
) -> None:
    network, images = Network().eval(), torch.rand(2, 3, 2, 2)
    path = traced(network, images, tmp_path / "m.pt", device)
    with zipfile.ZipFile(path) as archive:
        code = b"".join(archive.read(n) for n in archive.namelist() if n.endswith(".py"))
    assert re.search(rf'torch\.device\("{device}"\)'.encode(), code)
    copy = on_cpu(path, SourceKind.TORCHSCRIPT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.load(copy, "cpu")  # type: ignore[no-untyped-call]
    assert torch.allclose(module(images), network(images))


@pytest.mark.parametrize("kind", [SourceKind.TORCHSCRIPT, SourceKind.EXPORTED_PROGRAM])
def test_file_of_the_cpu_is_left_as_it_is(tmp_path: Path, kind: SourceKind) -> None:
    save = traced if kind is SourceKind.TORCHSCRIPT else exported
    path = save(Network().eval(), torch.rand(2, 3, 2, 2), tmp_path / "m", "cpu")
    before = path.read_bytes()
    assert on_cpu(path, kind) == path
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
