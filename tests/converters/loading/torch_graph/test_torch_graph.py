"""Torch modules with any output, any precision, and operators that the exporter lacks."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from converters.loading.torch_graph.symbolics import pool_matrix
from edge.errors import ModelError
from tests.support.networks.onnx_lab import Then, given_by, network, outputs_of, take_module

pytestmark = pytest.mark.filterwarnings("ignore")
Pair = namedtuple("Pair", "best logits")  # noqa: PYI024  # as older model code has it


@dataclass
class Output:
    logits: Tensor
    hidden: Tensor | None = None


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        logits = self.network(images)
        return {"logits": logits, "probabilities": logits.softmax(1)}


@pytest.mark.parametrize(
    "behind",
    [
        lambda x: (x, torch.cat([x, x], 1)),
        lambda x: [x.softmax(1), x],
        lambda x: {"logits": x, "probabilities": x.softmax(1)},
        lambda x: {"out": (torch.cat([x, x], 1), {"x": x})},
        lambda x: Pair(x.argmax(1), x),
        Output,
        lambda x: x[:, :, None, None],
    ],
    ids=["tuple", "list", "dict", "nested", "named", "dataclass", "map"],
)
def test_output_of_any_form_gives_its_logits(behind: Callable[[Tensor], Any]) -> None:
    taken = take_module(Then(behind).eval())
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)


@pytest.mark.parametrize("kind", ["scripted", "traced", "exported"])
def test_dictionary_of_a_file_gives_its_logits(kind: str) -> None:
    module: nn.Module = Scripted().eval()
    example = torch.zeros(2, 3, 32, 32)
    if kind == "scripted":
        module = torch.jit.script(module)
    elif kind == "traced":
        module = torch.jit.trace(module, example, strict=False)  # type: ignore[no-untyped-call]
    else:
        module = torch.export.export(module, (example,)).module(check_guards=False)
        module._forward_pre_hooks.clear()  # noqa: SLF001 - nn.Module cannot take back a hook that it loaded
    taken = take_module(module)
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)


def test_two_outputs_of_classes_are_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"m\.pt gives 2 outputs of 3 classes \(main, other\)"):
        take_module(Then(lambda x: {"main": x, "other": x.flip(1) * 2}))


def test_output_that_is_no_tensor_is_refused() -> None:
    with pytest.raises(ModelError, match=r"m\.pt gives str for an image"):
        take_module(Then(lambda _: "granulocyte"))


def test_network_for_one_channel_says_so() -> None:
    with pytest.raises(ModelError, match="takes images of 1 channel, 3 are needed"):
        take_module(network(1))


def test_network_for_another_size_says_what_it_was_given() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 3))
    with pytest.raises(ModelError, match=r"does not run on float images \(batch, 3, 32, 32\)"):
        take_module(module)


@pytest.mark.parametrize("precision", [torch.float16, torch.float64])
def test_trace_of_another_precision_becomes_fp32(precision: torch.dtype) -> None:
    example = torch.zeros(2, 3, 32, 32, dtype=precision)
    traced = torch.jit.trace(network().to(precision), example)  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(outputs_of(take_module(traced)), given_by(network()), atol=5e-3)


@pytest.mark.parametrize("size", [(7, 5), (3, 20), (6, 8)])
def test_adaptive_pool_to_any_size_is_exported(size: tuple[int, int]) -> None:
    torch.manual_seed(4)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1),
        nn.AdaptiveAvgPool2d(size),
        nn.Flatten(),
        nn.Linear(4 * size[0] * size[1], 3),
    ).eval()
    np.testing.assert_allclose(outputs_of(take_module(module)), given_by(module), atol=1e-5)


@pytest.mark.parametrize(("before", "after"), [(16, 7), (3, 7), (5, 5), (1, 6)])
def test_pool_matrix_is_torchs_adaptive_mean(before: int, after: int) -> None:
    values = torch.arange(float(before))[None, None]
    expected = nn.AdaptiveAvgPool1d(after)(values)[0, 0].numpy()
    np.testing.assert_allclose(pool_matrix(before, after) @ values[0, 0].numpy(), expected)


class Attends(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.patches, self.layer, self.head = nn.Conv2d(3, 24, 8, 8), layer, nn.Linear(24, 3)

    def forward(self, images: Tensor) -> Tensor:
        found = self.patches(images).flatten(2).transpose(1, 2)
        if isinstance(self.layer, nn.MultiheadAttention):
            found = self.layer(found, found, found, need_weights=False)[0]
        else:
            found = self.layer(found)
        return self.head(found.mean(1))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.MultiheadAttention(24, 4, batch_first=True),
        lambda: nn.TransformerEncoderLayer(24, 4, 48, batch_first=True),
        lambda: nn.TransformerEncoderLayer(
            24, 4, 48, batch_first=True, norm_first=True, activation="gelu"
        ),
    ],
    ids=["attention", "relu", "gelu"],
)
def test_attention_in_one_operator_is_exported(layer: Callable[[], nn.Module]) -> None:
    torch.manual_seed(4)
    module = Attends(layer()).eval()
    with torch.no_grad():
        example = torch.zeros(2, 3, 32, 32)
        traced = torch.jit.trace(module, example)  # type: ignore[no-untyped-call]
    assert "aten::_native_multi" in str(traced.inlined_graph) or "aten::_transformer" in str(
        traced.inlined_graph
    )
    np.testing.assert_allclose(outputs_of(take_module(traced)), given_by(module), atol=1e-5)


def test_operator_without_translation_is_named() -> None:
    class Transforms(Then):
        def forward(self, images: Tensor) -> Tensor:
            return self.network(torch.fft.fft2(images).abs())  # type: ignore[no-any-return]

    with pytest.raises(ModelError, match=r"m\.pt runs, but .*it uses aten::fft_fft2"):
        take_module(Transforms(lambda x: x))


@pytest.mark.parametrize(
    "decide",
    [
        lambda x: x.argmax(1),
        lambda x: x.topk(1),
        lambda x: x.max(1),
        lambda x: x.sort(1, descending=True),
        lambda x: x.amax(1),
        lambda x: x > 0.5,
        lambda x: functional.one_hot(x.argmax(1), 3).float(),
    ],
    ids=["argmax", "topk", "max", "sort", "score", "threshold", "one-hot"],
)
def test_decision_of_torch_gives_the_scores_that_it_is_made_of(
    decide: Callable[[Tensor], Any],
) -> None:
    taken = take_module(Then(lambda x: decide(x.softmax(1))))
    assert taken.changes == [
        "it gives its decision alone: the scores behind it were taken",
        "the softmax at its end was removed",
    ]
    taken.removed_head = None
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)


def test_decision_without_scores_behind_it_is_refused_as_such() -> None:
    with pytest.raises(
        ModelError, match=r"m\.pt gives its decision alone \(output logits of shape \(n\)"
    ):
        take_module(Then(lambda x: (x[:, 0] * 3).long()))


def test_nan_weights_are_not_taken_for_training_mode() -> None:
    assert np.isnan(take_module(Then(lambda x: x * torch.nan)).source_logits()).all()
