from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge.errors import ModelError
from tests.support.networks.onnx_lab import network, take, take_module, to_onnx


class Drops(nn.Module):
    def __init__(self, *, norm: bool, dropout: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.head = nn.Linear(8, 3)
        self.dropout = dropout

    def forward(self, images: Tensor) -> Tensor:
        means = self.norm(self.first(images)).mean((2, 3))
        logits: Tensor = self.head(functional.dropout(means, 0.5, training=self.dropout))
        return logits


KINDS = [(True, False), (False, True), (True, True)]


# Dropout of opset 11 drops nothing, whatever the mode.
@pytest.mark.parametrize(
    ("opset", "norm", "dropout"), [(11, True, False), *((17, *kind) for kind in KINDS)]
)
def test_onnx_in_training_mode_is_refused(opset: int, *, norm: bool, dropout: bool) -> None:
    mode = torch.onnx.TrainingMode.TRAINING
    module = Drops(norm=norm, dropout=dropout).train()
    model = to_onnx(module, opset=opset, training=mode, do_constant_folding=False)
    with pytest.raises(ModelError, match=r"training mode .* model\.eval\(\)"):
        take(model)


@pytest.mark.parametrize(("norm", "dropout"), KINDS)
@pytest.mark.filterwarnings("ignore")
def test_trace_in_training_mode_is_refused(*, norm: bool, dropout: bool) -> None:
    module = Drops(norm=norm, dropout=dropout).train()
    traced = torch.jit.trace(  # type: ignore[no-untyped-call]
        module, torch.rand(4, 3, 32, 32), check_trace=False
    )
    with pytest.raises(ModelError, match=r"training mode .* model\.eval\(\)"):
        take_module(traced.eval())


def test_dropout_that_eval_does_not_reach_is_refused() -> None:
    said = r"in evaluation mode: bernoulli at test_training_mode\.py, line \d+ is random"
    with pytest.raises(ModelError, match=said):
        take_module(Drops(norm=False, dropout=True).eval())


@pytest.mark.parametrize("kind", ["scripted", "traced", "exported"])
@pytest.mark.filterwarnings("ignore")
def test_dropout_that_is_always_on_in_a_file_is_named(kind: str) -> None:
    module, example = Drops(norm=True, dropout=True).eval(), torch.zeros(2, 3, 32, 32)
    # In a trace and in an exported program it may as well be the mode that they were made in.
    said = r"two runs of one image differ by dropout at test_training_mode\.py, line \d+"
    found: nn.Module
    if kind == "scripted":
        said = "although it is in evaluation mode: dropout is random"
        found = torch.jit.script(module)
    elif kind == "traced":
        found = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
    else:
        found = torch.export.export(module, (example,)).module(check_guards=False)
    with pytest.raises(ModelError, match=said):
        take_module(found)


def test_batch_norm_without_statistics_is_named() -> None:
    norm = nn.BatchNorm2d(3, track_running_stats=False)
    with pytest.raises(ModelError, match="batch norm without mean and variance from training"):
        take_module(nn.Sequential(norm, network()).eval())


def test_dropout_in_evaluation_mode_is_taken() -> None:
    assert take(to_onnx(nn.Sequential(Drops(norm=True, dropout=False), nn.Dropout()).eval()))
