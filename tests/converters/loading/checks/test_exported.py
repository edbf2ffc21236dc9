"""`.pt2` files: which operators they may name, and which sizes may reach torch's kernels."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from converters.loading.checks.exported import find_disallowed
from converters.loading.checks.kernels import checked_kernels

ATEN = torch.ops.aten
YES, NO = True, False


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(images)
        return logits


def exported(path: Path, operator: str = "torch.ops.aten.relu.default") -> Path:
    """A program in which another operator stands in the place of the ReLU."""
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(Small().eval(), (torch.zeros(2, 3, 8, 8),)), buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("models/model.json"):
                assert b"torch.ops.aten.relu.default" in content
                content = content.replace(b"torch.ops.aten.relu.default", operator.encode())
            target.writestr(name, content)
    return path


def test_what_it_runs_of_a_network_is_nothing(tmp_path: Path) -> None:
    assert find_disallowed(exported(tmp_path / "m.pt2")) is None


@pytest.mark.parametrize(
    "operator",
    [
        "torch.ops.aten.set_.source_Tensor_storage_offset",
        "torch.ops.aten.resize_.default",
        "torch.ops.aten._reshape_alias.default",
        "torch.ops.aten._unsafe_index_put.default",
        "torch.ops.aten.empty_strided.default",
        "torch.ops.aten._foreach_add.Scalar",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.add.out",
        "torch.ops.aten.sum.IntList_out",
        "torch.ops.aten._embedding_bag.default",
        "torch.ops.aten._nested_view_from_buffer.default",
        "torch.ops.aten._sparse_coo_tensor_unsafe.default",
        "torch.ops.aten._local_scalar_dense.default",
        "torch.ops.inductor._reinterpret_tensor.default",
        "torch.ops.quantized.linear.default",
        "torch.ops.relu.default",
        "torch.load",
        "_operator.methodcaller",
    ],
)
def test_what_it_runs_names_an_operator_that_is_not_listed(tmp_path: Path, operator: str) -> None:
    found = find_disallowed(exported(tmp_path / "m.pt2", operator))
    assert found == f"models/model.json: target {operator}"


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(shape)


def lstm(steps: torch.Tensor, state: torch.Tensor, *weights: torch.Tensor) -> Any:
    return ATEN.lstm(steps, [state, state], list(weights), YES, 1, 0.0, NO, NO, NO)


LYING: dict[str, Callable[[], Any]] = {
    "norm of one channel": lambda: ATEN.native_batch_norm(
        ones(2, 64, 4), ones(1), ones(1), ones(1), ones(1), NO, 0.1, 1e-5
    ),
    "norm without statistics": lambda: ATEN.native_batch_norm(
        ones(2, 64, 4), None, None, None, None, NO, 0.1, 1e-5
    ),
    "decomposed norm": lambda: ATEN._native_batch_norm_legit_no_training(  # noqa: SLF001 - an operator's own name
        ones(2, 64, 4), ones(1), ones(1), ones(1), ones(1), 0.1, 1e-5
    ),
    "weight norm": lambda: ATEN._weight_norm(ones(5, 5), ones(1), 0),  # noqa: SLF001 - an operator's own name
    "attention by its kernel": lambda: ATEN._scaled_dot_product_flash_attention_for_cpu(  # noqa: SLF001 - an operator's own name
        ones(9, 2, 4, 8), ones(1, 2, 4, 8), ones(1, 2, 4, 8)
    ),
    "attention": lambda: ATEN.scaled_dot_product_attention(
        ones(1, 2, 4, 8), ones(1, 2, 3, 8), ones(1, 2, 9, 8)
    ),
    "lstm weights": lambda: lstm(ones(3, 1, 4), ones(1, 1, 5), *[ones(1, 1)] * 4),
    "lstm biases": lambda: lstm(
        ones(3, 1, 4), ones(1, 1, 5), ones(20, 4), ones(20, 5), ones(1), ones(1)
    ),
    "lstm state": lambda: lstm(
        ones(3, 9, 4), ones(1, 1, 5), ones(20, 4), ones(20, 5), ones(20), ones(20)
    ),
    "antialiased scale": lambda: ATEN._upsample_bilinear2d_aa(  # noqa: SLF001 - an operator's own name
        ones(1, 1, 8, 8), [4, 4], NO, 1e-5, 1e-5
    ),
    "grid mode": lambda: ATEN.grid_sampler(ones(1, 1, 4, 4), ones(1, 3, 3, 2), 7, 0, YES),
}


@pytest.mark.parametrize("name", LYING)
def test_kernel_given_sizes_that_do_not_fit_is_not_run(name: str) -> None:
    with (
        torch.no_grad(),
        checked_kernels(),
        pytest.raises(RuntimeError, match="sizes that do not fit together"),
    ):
        LYING[name]()


class Recurrent(nn.Module):
    """All the checked kernels in one network, as layers call them."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.lstm = nn.LSTM(3, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.linear = nn.utils.parametrizations.weight_norm(nn.Linear(10, 6))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        steps = self.norm(images).flatten(2).transpose(1, 2)
        states = self.linear(self.lstm(steps)[0])[:, None]
        mixed = nn.functional.scaled_dot_product_attention(states, states, states)
        grid = torch.zeros(len(images), 2, 2, 2)
        sampled = nn.functional.grid_sample(mixed, grid, align_corners=False)
        return sampled.mean((1, 2))


@pytest.mark.parametrize("is_training", [False, True])
def test_kernels_of_a_network_are_run_and_compute_the_same(is_training: bool) -> None:  # noqa: FBT001
    network = Recurrent().train(is_training)
    images = torch.rand(2, 3, 4, 4)
    with torch.no_grad():
        expected = network(images)
        with checked_kernels():
            assert torch.equal(network(images), expected)
