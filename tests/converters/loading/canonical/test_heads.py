from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.networks.onnx_lab import (
    Then,
    given_by,
    network,
    operators,
    outputs_of,
    take,
    take_module,
    to_onnx,
)

PROBABLE = {"Softmax", "LogSoftmax", "Sigmoid", "Exp", "Log", "Clip", "Div", "Reciprocal"}
HEADS: dict[str, tuple[str, Callable[[Tensor], Any]]] = {
    "softmax": ("softmax", lambda x: x.softmax(1)),
    "of a map": ("softmax", lambda x: x[:, :, None, None].softmax(1)),
    "clipped": ("softmax", lambda x: x.softmax(1).clamp(1e-7, 1 - 1e-7)),
    "then the best": ("softmax", lambda x: x.softmax(1).topk(1)),
    "with the label": ("softmax", lambda x: (x.argmax(1), x.softmax(1))),
    "of the logarithm": ("softmax", lambda x: x.log_softmax(1).exp()),
    "written out": ("softmax", lambda x: x.exp() / x.exp().sum(1, keepdim=True)),
    "log-softmax": ("log_softmax", lambda x: x.log_softmax(1)),
    "logarithm": ("log_softmax", lambda x: x.softmax(1).log()),
    "guarded": ("log_softmax", lambda x: (x.softmax(1) + 1e-12).log()),
    "sigmoid": ("sigmoid", lambda x: x.sigmoid()),
    "logistic": ("sigmoid", lambda x: 1 / (1 + (-x).exp())),
}


@pytest.mark.parametrize(("head", "behind"), HEADS.values(), ids=HEADS.keys())
@pytest.mark.parametrize("opset", [11, 17])
def test_head_of_onnx_is_taken_off(head: str, behind: Callable[[Tensor], Any], opset: int) -> None:
    taken = take(to_onnx(Then(behind), opset=opset))
    assert taken.removed_head == head
    assert not PROBABLE & set(operators(taken))
    taken.removed_head = None
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)
    assert taken.changes[-1] == f"the {head.replace('_', '-')} at its end was removed"


@pytest.mark.parametrize("kind", ["module", "traced", "scripted"])
@pytest.mark.filterwarnings("ignore")
def test_head_of_torch_is_taken_off(kind: str) -> None:
    module: torch.nn.Module = torch.nn.Sequential(network(), torch.nn.Softmax(1)).eval()
    if kind == "traced":
        module = torch.jit.trace(module, torch.zeros(1, 3, 32, 32))  # type: ignore[no-untyped-call]
    elif kind == "scripted":
        module = torch.jit.script(module)
    taken = take_module(module)
    assert taken.removed_head == "softmax"
    np.testing.assert_allclose(outputs_of(taken), given_by(module), atol=1e-5)
    np.testing.assert_allclose(taken.source_logits(), given_by(module), atol=1e-6)


def test_temperature_stays_where_the_softmax_goes() -> None:
    taken = take(to_onnx(Then(lambda x: (x / 4).softmax(1))))
    taken.removed_head = None
    np.testing.assert_allclose(outputs_of(taken), given_by(network()) / 4, atol=1e-5)


def test_mean_of_two_softmaxes_stays() -> None:
    taken = take(to_onnx(Then(lambda x: (x.softmax(1) + (2 * x).softmax(1)) / 2)))
    assert taken.removed_head is None
    np.testing.assert_allclose(taken.source_logits().sum(axis=1), 1, atol=1e-5)
