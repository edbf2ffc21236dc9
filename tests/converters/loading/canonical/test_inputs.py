from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from edge.errors import ModelError
from tests.support.networks.onnx_lab import given_by, network, operators, outputs_of, take, to_onnx


class ChannelsLast(nn.Module):
    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.network = network(channels)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images.permute(0, 3, 1, 2))
        return logits


class TakesBytes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images.float())
        return logits


@pytest.mark.parametrize("is_dynamic", [True, False])
def test_channels_last_input_is_taken_without_a_transposition_left(*, is_dynamic: bool) -> None:
    taken = take(to_onnx(ChannelsLast(), torch.zeros(1, 32, 32, 3), is_dynamic=is_dynamic))
    assert "Transpose" not in operators(taken)
    assert taken.changes[0] == "a transposition was added for its channels-last input"
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)


def test_bytes_that_become_floats_at_once_are_taken_as_floats() -> None:
    taken = take(to_onnx(TakesBytes(), torch.zeros(1, 3, 32, 32, dtype=torch.uint8)))
    assert taken.model.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert taken.changes[0] == "its input of bytes was changed to floats from 0 to 255"
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)


def test_input_that_nothing_reads_is_left_out() -> None:
    model = to_onnx(network(), is_dynamic=True)
    extra = helper.make_tensor_value_info("image_size", TensorProto.INT64, [2])
    model.graph.input.insert(0, extra)
    taken = take(model)
    assert len(taken.model.graph.input) == 1
    assert taken.changes == ["its unused input image_size was removed"]


def test_second_input_is_refused_by_name() -> None:
    model = to_onnx(network(), is_dynamic=True)
    extra = helper.make_tensor_value_info("prior", TensorProto.FLOAT, ["n", 3])
    model.graph.input.append(extra)
    logits = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Add", [logits, "prior"], ["sum"]))
    model.graph.output[0].name = "sum"
    with pytest.raises(ModelError, match=r"2 inputs \(x .*, prior \['n', 3\]\)"):
        take(model)


@pytest.mark.parametrize(
    ("module", "shape", "said"),
    [
        (network(1), (1, 1, 32, 32), r"takes images of 1 channel .* 3 are needed"),
        (ChannelsLast(1), (1, 32, 32, 1), r"takes images of 1 channel .* 3 are needed"),
        (network(4), (1, 4, 32, 32), r"takes images of 4 channels .* 3 are needed"),
        (network(), (1, 3, 48, 48), r"\[1, 3, 48, 48\], .* Correct input\.height"),
        (ChannelsLast(), (1, 48, 48, 3), r"\[1, 48, 48, 3\], .* Correct input\.height"),
        (nn.Linear(8, 3), (1, 8), r"\[1, 8\], .* Give a network for images"),
    ],
)
def test_input_that_is_no_such_image_is_refused(
    module: nn.Module, shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        take(to_onnx(module, torch.zeros(shape)))


def test_size_that_the_file_leaves_open_becomes_the_cards() -> None:
    net = network()
    model = to_onnx(net)
    for axis, name in ((0, "n"), (2, "h"), (3, "w")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    del model.graph.value_info[:]
    taken = take(model)
    sizes = [d.dim_value for d in taken.model.graph.input[0].type.tensor_type.shape.dim]
    assert sizes[1:] == [3, 32, 32]
    np.testing.assert_allclose(outputs_of(taken), given_by(net), atol=1e-5)


class TakesBytesLast(TakesBytes):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.permute(0, 3, 1, 2))


def test_bytes_that_are_moved_before_they_become_floats_are_taken_as_floats() -> None:
    taken = take(to_onnx(TakesBytesLast(), torch.zeros(1, 32, 32, 3, dtype=torch.uint8)))
    assert taken.model.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)


class OneImage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image[None])
        return logits


def test_input_without_a_batch_is_refused_as_such() -> None:
    model = to_onnx(OneImage(), torch.zeros(3, 32, 32))
    with pytest.raises(ModelError, match=r"float \[3, 32, 32\].*Export it for a batch of images"):
        take(model)


@pytest.mark.parametrize("channels", [1, 4])
def test_channels_that_the_file_leaves_open_are_those_of_its_first_layer(channels: int) -> None:
    model = to_onnx(network(channels), torch.zeros(1, channels, 32, 32), is_dynamic=True)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "channels"
    with pytest.raises(ModelError, match=rf"takes images of {channels} channels?.*3 are needed"):
        take(model)
