"""Model files made to run code, to crash or to fill the machine: one line, and nothing happened."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import signal
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import Tensor, nn

from converters.cli import main
from converters.loading import private_copy as staging
from converters.loading import run_child
from converters.loading.sandbox.limits import GIB, Limits
from tests.faults.hostile.model_lab import Laboratory, RunsCode, exported, saved
from tests.support.machine.confined import has_landlock
from tests.support.networks.tiny_network import TinyNetwork


class Crashes:
    """A pickle that ends its process by a signal."""

    def __reduce__(self) -> tuple[Any, ...]:
        return signal.raise_signal, (signal.SIGSEGV,)


def scripted(module: nn.Module) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates its own TorchScript
        torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


def graph_bytes(*nodes: onnx.NodeProto, weights: tuple[TensorProto, ...] = ()) -> bytes:
    """An ONNX classifier made of these nodes, from `x` to `y`."""
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])
    logits = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph(list(nodes), "g", [image], [logits], list(weights))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("evil", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_convert_plain_pickle_is_refused_and_not_run(lab: Laboratory, protocol: int) -> None:
    lab.model.write_bytes(pickle.dumps(RunsCode(lab.marker), protocol=protocol))
    said = lab.refused()
    # Protocol 0 is a text, which torch never wrote.
    assert "mkdir" in said
    assert protocol or "is a text" in said


def test_convert_torch_file_with_malicious_pickle_names_what_it_would_run(
    lab: Laboratory,
) -> None:
    lab.model.write_bytes(saved(RunsCode(lab.marker)))
    said = lab.refused()
    assert "mkdir" in said
    digest = hashlib.sha256(lab.model.read_bytes()).hexdigest()
    assert f"--trust-pickle sha256:{digest}" in said


def test_convert_checkpoint_with_malice_beside_good_weights_is_refused(
    lab: Laboratory, network: TinyNetwork
) -> None:
    content = {"state_dict": network.state_dict(), "callbacks": [RunsCode(lab.marker)]}
    lab.model.write_bytes(saved(content))
    assert "mkdir" in lab.refused()


def test_convert_onnx_with_weights_outside_is_refused_and_reads_nothing(lab: Laboratory) -> None:
    secret = lab.root / "secret"
    secret.write_bytes(bytes(4 * 3 * 3072))
    weight = numpy_helper.from_array(np.zeros((3072, 3), np.float32), "w")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../secret")
    nodes = (
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    )
    lab.model.write_bytes(graph_bytes(*nodes, weights=(weight,)))
    assert "keeps w in another file" in lab.refused()


def test_convert_onnx_with_custom_operator_is_refused(lab: Laboratory) -> None:
    lab.model.write_bytes(graph_bytes(helper.make_node("Run", ["x"], ["y"], domain="evil")))
    assert "Run of domain evil" in lab.refused()


def test_convert_onnx_that_asks_for_absurd_memory_is_refused(lab: Laboratory) -> None:
    size = numpy_helper.from_array(np.array([1 << 44], np.int64), "size")
    nodes = (
        helper.make_node("ConstantOfShape", ["size"], ["large"]),
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Add", ["flat", "large"], ["y"]),
    )
    lab.model.write_bytes(graph_bytes(*nodes, weights=(size,)))
    assert "does not run on float images" in lab.refused()


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.97])
@pytest.mark.parametrize("kind", ["zip", "pt2", "safetensors"])
def test_convert_truncated_file_is_refused(
    lab: Laboratory, network: TinyNetwork, kind: str, kept: float
) -> None:
    if kind == "safetensors":
        save_file(network.state_dict(), lab.model)
    elif kind == "pt2":
        lab.model.write_bytes(exported(network, lambda _, content: content))
    else:
        lab.model.write_bytes(saved(network.state_dict()))
    content = lab.model.read_bytes()
    lab.model.write_bytes(content[: int(len(content) * kept)])
    assert "tiny.pt" in lab.refused()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x7fELF" + bytes(60), "is a compiled library"),
        (b"#!/bin/sh\n", "is a text ('#!/bin/sh')"),
        (b"\x08", "has 1 bytes"),
        (b"MZ\x90\0\3" + bytes(90), "it starts with 4d5a9000"),
    ],
)
def test_convert_file_of_no_known_kind_says_how_it_starts(
    lab: Laboratory, content: bytes, said: str
) -> None:
    lab.model.write_bytes(content)
    assert said in lab.refused()


def test_convert_oversized_file_is_refused_unread(lab: Laboratory) -> None:
    with lab.model.open("wb") as file:
        file.truncate(staging.MAX_SOURCE_BYTES + 1)
    assert f"at most {staging.MAX_SOURCE_BYTES}" in lab.refused()


def test_convert_link_to_pipe_or_device_is_refused_and_never_blocks(lab: Laboratory) -> None:
    os.mkfifo(lab.root / "pipe")
    for end in (lab.root / "pipe", Path("/dev/zero"), lab.root):
        lab.model.unlink(missing_ok=True)
        lab.model.symlink_to(end)
        assert ("is a folder" if end is lab.root else "folder, pipe or device") in lab.refused()


class LoopsForever(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        while bool(images.sum() < float("inf")):
            images = images * 1.0
        return images


class TakesAllMemory(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images + torch.zeros(1 << 44)


class WritesFile(nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, images: Tensor) -> Tensor:
        torch.save(images, self.path)
        return images


def test_convert_torchscript_that_never_ends_is_stopped(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_child, "LIMITS", Limits(timeout_s=15))
    lab.model.write_bytes(scripted(LoopsForever()))
    assert "took longer than 15 s" in lab.refused()


def test_convert_torchscript_that_asks_for_absurd_memory_is_refused(lab: Laboratory) -> None:
    lab.model.write_bytes(scripted(TakesAllMemory()))
    assert "allocate" in lab.refused()


def test_convert_in_too_little_address_space_is_one_line(
    lab: Laboratory, network: TinyNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_child, "LIMITS", Limits(address_space_bytes=GIB // 4))
    lab.model.write_bytes(saved(network.state_dict()))
    lab.refused()


def test_convert_torchscript_that_writes_files_is_refused(lab: Laboratory) -> None:
    """TorchScript is data to torch, and can write any file of its user."""
    lab.model.write_bytes(scripted(WritesFile(str(lab.marker))))
    assert "uses aten::save" in lab.refused()


@pytest.mark.parametrize(
    "header",
    [
        {"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}},
        {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 4]}},
        {"w": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}},
    ],
    ids=["beyond_the_end", "wrong_size", "before_the_start"],
)
def test_convert_safetensors_with_lying_header_is_refused(
    lab: Laboratory, header: dict[str, Any]
) -> None:
    text = json.dumps(header).encode()
    lab.model.write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))
    assert "cannot be opened" in lab.refused()


def test_convert_safetensors_with_header_longer_than_the_file_is_refused(lab: Laboratory) -> None:
    lab.model.write_bytes(struct.pack("<Q", 50_000_000) + b'{"w":' + bytes(16))
    assert "cannot be opened" in lab.refused()


def test_convert_trusted_pickle_that_crashes_leaves_the_converter_alive(lab: Laboratory) -> None:
    lab.model.write_bytes(saved(Crashes()))
    digest = hashlib.sha256(lab.model.read_bytes()).hexdigest()
    assert "crashed (SIGSEGV)" in lab.refused("--trust-pickle", f"sha256:{digest}")


def test_convert_pickled_module_needs_the_hash_of_that_very_file(
    lab: Laboratory, network: TinyNetwork
) -> None:
    lab.model.write_bytes(saved(network))
    digest = hashlib.sha256(lab.model.read_bytes()).hexdigest()
    assert "TinyNetwork" in lab.refused()
    assert f"names sha256:{'0' * 64}" in lab.refused("--trust-pickle", f"sha256:{'0' * 64}")
    assert lab.convert("--trust-pickle", f"sha256:{digest}")[0] == 0
    manifest = json.loads((lab.root / "tiny.edge" / "manifest.json").read_text())
    assert manifest["source"]["kind"] == "pickled_module"
    assert manifest["source"]["trusted_pickle"] is True


class RunsOperator(nn.Module):
    """TorchScript that takes memory behind its image by an operator of torch's compiler."""

    def forward(self, images: Tensor) -> Tensor:
        behind: Tensor = torch.ops.inductor._reinterpret_tensor(images, [1, 3], [3, 1], 1 << 20)  # noqa: SLF001 - an operator's own name
        return behind


def test_convert_torchscript_that_reads_memory_is_refused_and_named(lab: Laboratory) -> None:
    lab.model.write_bytes(scripted(RunsOperator()))
    said = lab.refused()
    assert "uses inductor::_reinterpret_tensor" in said
    assert "Export the network without it" in said


@pytest.mark.skipif(not has_landlock(), reason="the kernel has no Landlock")
def test_convert_trusted_pickle_writes_nothing_outside_of_its_folder(lab: Laboratory) -> None:
    lab.model.write_bytes(saved(RunsCode(lab.marker)))
    digest = hashlib.sha256(lab.model.read_bytes()).hexdigest()
    assert "is opened without network" in lab.refused("--trust-pickle", f"sha256:{digest}")


def test_convert_says_which_guards_were_in_force(lab: Laboratory, network: TinyNetwork) -> None:
    """In the report, and in the manifest for whoever gets the bundle."""
    lab.model.write_bytes(scripted(network))
    card, target = str(lab.root / "tiny.yaml"), str(lab.root / "tiny.edge")
    assert main([str(lab.model), "--card", card, "--out", target]) == 0
    manifest = json.loads((lab.root / "tiny.edge" / "manifest.json").read_text())
    guards = manifest["source"]["sandbox"]
    assert ("Landlock" in guards.split("(")[0]) == has_landlock()
    assert "seccomp" in guards.split("(")[0]
    assert f"opened in a sandbox: {guards}" in lab.capsys.readouterr().out.splitlines()
