"""What was exported for one number of images serves any other, each image as if it were alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from edge.errors import ModelError
from tests.support.networks.onnx_lab import (
    SAMPLES,
    given_by,
    outputs_of,
    take,
    take_module,
    to_onnx,
)


class Reshape(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 8, 8, 8), nn.Linear(128, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.first(images).reshape(int(images.shape[0]), 128))  # type: ignore[no-any-return]


class Shuffle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        found = self.first(images)
        batch, channels, height, width = map(int, found.shape)
        pairs = found.view(batch, 2, channels // 2, height, width).transpose(1, 2)
        mixed = pairs.reshape(batch, channels, height, width) * torch.arange(8.0)[:, None, None]
        return self.head(mixed.mean((2, 3)))  # type: ignore[no-any-return]


class Squeeze(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 8, 32), nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.first(images).squeeze())  # type: ignore[no-any-return]


class Resize(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        larger = functional.interpolate(self.first(images), size=(11, 13), mode="bilinear")
        return self.head(larger.amax((2, 3)))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """A class token, attention, and the batch in the first, in the second or merged with another
    axis."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 24, 8, 8), nn.Linear(24, 3)
        self.token = nn.Parameter(torch.randn(1, 1, 24))
        self.attention = nn.MultiheadAttention(24, 4, batch_first=batch_first)
        self.batch_first = batch_first

    def forward(self, images: Tensor) -> Tensor:
        count = int(images.shape[0])
        found = self.patches(images).flatten(2).permute(0, 2, 1)
        found = torch.cat([self.token.expand(count, -1, -1), found], 1)
        if not self.batch_first:
            found = found.transpose(0, 1)
        found = self.attention(found, found, found)[0]
        token = found[:, 0] if self.batch_first else found[0]
        return self.head(token)  # type: ignore[no-any-return]


class Windows(nn.Module):
    """Attention in windows, with the batch merged with their number and split off again."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.qkv, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 24), nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        found = self.patches(images).permute(0, 2, 3, 1)
        batch = int(found.shape[0])
        parts = found.view(batch, 2, 4, 2, 4, 8).permute(0, 1, 3, 2, 4, 5)
        windows = parts.contiguous().view(-1, 16, 8)
        q, k, v = self.qkv(windows).reshape(batch * 4, 16, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        back = mixed.transpose(1, 2).reshape(batch, 2, 2, 4, 4, 8).permute(0, 1, 3, 2, 4, 5)
        return self.head(back.reshape(batch, 8, 8, 8).mean((1, 2)))  # type: ignore[no-any-return]


KINDS = {
    "reshape": Reshape,
    "shuffle": Shuffle,
    "squeeze": Squeeze,
    "resize": Resize,
    "batch first": lambda: Attention(batch_first=True),
    "batch second": lambda: Attention(batch_first=False),
    "windows": Windows,
}


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.filterwarnings("ignore")
def test_graph_of_a_fixed_batch_serves_any(kind: type[nn.Module], batch: int) -> None:
    torch.manual_seed(3)
    module = kind().eval()
    taken = take(to_onnx(module, torch.zeros(batch, 3, 32, 32)))
    for count in (1, 2, 3, 5):
        found, expected = outputs_of(taken, count), given_by(module)[:count]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_view_that_picks_each_element_by_its_place_serves_any() -> None:
    torch.manual_seed(3)
    module = Squeeze().eval()
    model = to_onnx(module, torch.zeros(2, 3, 32, 32))
    squeeze = next(node for node in model.graph.node if node.op_type == "Squeeze")
    source, result = squeeze.input[0], squeeze.output[0]
    model.graph.node.remove(squeeze)
    everything = numpy_helper.from_array(np.array([-1], np.int64), "everything")
    places = numpy_helper.from_array(np.arange(16).reshape(2, 8), "places")
    model.graph.initializer.extend([everything, places])
    model.graph.node.insert(1, helper.make_node("Reshape", [source, "everything"], ["flat"]))
    model.graph.node.insert(2, helper.make_node("Gather", ["flat", "places"], [result], axis=0))
    np.testing.assert_allclose(outputs_of(take(model)), given_by(module), atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.filterwarnings("ignore")
def test_trace_of_a_fixed_batch_serves_any(batch: int) -> None:
    torch.manual_seed(3)
    module = Reshape().eval()
    example = torch.zeros(batch, 3, 32, 32)
    taken = take_module(torch.jit.trace(module, example))  # type: ignore[no-untyped-call]
    assert taken.changes == [f"its fixed batch of {batch} was made dynamic"]
    np.testing.assert_allclose(outputs_of(taken), given_by(module), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_graph_that_says_dynamic_and_is_not_serves_any() -> None:
    torch.manual_seed(3)
    module = Reshape().eval()
    taken = take(to_onnx(module, is_dynamic=True))
    np.testing.assert_allclose(outputs_of(taken), given_by(module), atol=1e-5)


def test_graph_that_looks_at_the_first_image_of_two_is_refused() -> None:
    class First(Reshape):
        def forward(self, images: Tensor) -> Tensor:
            return self.head(self.first(images)[0].reshape(1, 128))  # type: ignore[no-any-return]

    with pytest.raises(ModelError, match=r"fixed to a batch of 2 .* dynamic batch is needed"):
        take(to_onnx(First().eval(), torch.zeros(2, 3, 32, 32)))


class Dropping(nn.Module):
    """Loses the batch axis of its one image, in one of the ways in which people write it."""

    def __init__(self, drop: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.head, self.drop = nn.Conv2d(3, 8, 32), nn.Linear(8, 3), drop

    def forward(self, images: Tensor) -> Tensor:
        return self.drop(self.head, self.first(images))


DROPPING: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "flatten": lambda head, x: head(x.flatten(0)).unsqueeze(0),
    "squeeze": lambda head, x: head(x.squeeze()).softmax(0)[None],
    "row": lambda head, x: head(x.view(1, -1)),
    "reshape": lambda head, x: head(x.reshape(8)),
    "first": lambda head, x: head(x[0].mean((1, 2)))[None],
    "last": lambda head, x: head(x.flatten(1))[0],
    "slice": lambda head, x: head(x[:1].flatten(1)),
    "turned": lambda head, x: head(x[0].transpose(0, 2)[0, 0]).relu(),
    "unbind": lambda head, x: torch.stack([head(one.flatten()) for one in x.unbind(0)]),
    "split": lambda head, x: torch.cat([head(one.flatten(1)) for one in torch.split(x, 1)]),
    "mean": lambda head, x: head(x.mean((0, 2, 3))),
}


@pytest.mark.parametrize("kind", ["onnx", "traced", "module"])
@pytest.mark.parametrize("drop", DROPPING.values(), ids=DROPPING.keys())
@pytest.mark.filterwarnings("ignore")
def test_axis_of_one_image_that_is_dropped_is_kept_for_all(
    drop: Callable[[nn.Module, Tensor], Tensor], kind: str
) -> None:
    torch.manual_seed(6)
    module, example = Dropping(drop).eval(), torch.zeros(1, 3, 32, 32)
    with torch.no_grad():
        alone = [module(image[None]).reshape(1, 3) for image in torch.from_numpy(SAMPLES)]
    if kind == "onnx":
        taken = take(to_onnx(module, example))
    elif kind == "traced":
        traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
        taken = take_module(traced)
    else:
        taken = take_module(module)
    np.testing.assert_allclose(outputs_of(taken), torch.cat(alone).numpy(), atol=1e-5)
    assert "its fixed batch of 1 was made dynamic" in taken.changes or kind != "onnx"


@pytest.mark.filterwarnings("ignore")
def test_squeeze_behind_the_classes_is_taken_at_a_batch_of_two() -> None:
    module = nn.Sequential(Reshape(), nn.Softmax(1), Squeezed()).eval()
    taken = take(to_onnx(module, torch.zeros(2, 3, 32, 32)))
    np.testing.assert_allclose(outputs_of(taken), given_by(module), atol=1e-5)


class Squeezed(nn.Module):
    def forward(self, scores: Tensor) -> Tensor:
        return scores.squeeze()


class Recurrent(nn.Module):
    def __init__(self, layer: type[nn.Module]) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 8, 8, 8), nn.Linear(16, 3)
        self.layer = layer(8, 8, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, images: Tensor) -> Tensor:
        steps = self.first(images).flatten(2).transpose(1, 2)
        return self.head(self.layer(steps)[0].mean(1))  # type: ignore[no-any-return]


@pytest.mark.parametrize("layer", [nn.GRU, nn.LSTM, nn.RNN])
@pytest.mark.parametrize("kind", ["onnx", "exported"])
@pytest.mark.filterwarnings("ignore")
def test_zeros_that_a_recurrent_layer_begins_with_serve_any_batch(
    layer: type[nn.Module], kind: str
) -> None:
    torch.manual_seed(6)
    module, example = Recurrent(layer).eval(), torch.zeros(2, 3, 32, 32)
    if kind == "onnx":
        taken = take(to_onnx(module, example))
    else:
        program = torch.export.export(module, (example,)).module(check_guards=False)
        program._forward_pre_hooks.clear()  # noqa: SLF001 - nn.Module cannot take back a hook that it loaded
        taken = take_module(program, batch=2)
    np.testing.assert_allclose(outputs_of(taken), given_by(module), atol=1e-5)


def test_network_fixed_to_two_images_says_how_to_export_it() -> None:
    module = Dropping(DROPPING["unbind"]).eval()
    with pytest.raises(ModelError, match=r"fixed to a batch of 2 .* dynamic_axes=\{'x': \{0: 'n'"):
        take(to_onnx(module, torch.zeros(2, 3, 32, 32)))
