from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import Tensor, nn

from edge.errors import ModelError
from tests.support.networks.onnx_lab import (
    given_by,
    network,
    operators,
    outputs_of,
    take,
    take_module,
    to_onnx,
)

NAMES = {torch.float16: "FP16", torch.bfloat16: "BF16", torch.float64: "FP64"}


class Within(nn.Module):
    """FP32 in and out, another precision between them."""

    def __init__(self, precision: torch.dtype) -> None:
        super().__init__()
        self.network = network().to(precision)
        self.precision = precision

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images.to(self.precision))
        return logits.float()


def types_in(model: onnx.ModelProto) -> set[int]:
    return {tensor.data_type for tensor in model.graph.initializer}


@pytest.mark.parametrize("precision", NAMES, ids=NAMES.values())
def test_other_floats_between_fp32_ends_become_fp32_without_conversions(
    precision: torch.dtype,
) -> None:
    taken = take(to_onnx(Within(precision)))
    assert "Cast" not in operators(taken)
    assert types_in(taken.model) <= {TensorProto.FLOAT, TensorProto.INT64}
    assert taken.changes[0] == f"its {NAMES[precision]} values were made FP32"
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=5e-3)


@pytest.mark.parametrize("precision", [torch.float16, torch.float64], ids=["FP16", "FP64"])
def test_other_floats_throughout_become_fp32(precision: torch.dtype) -> None:
    example = torch.zeros(1, 3, 32, 32, dtype=precision)
    taken = take(to_onnx(network().to(precision), example))
    assert types_in(taken.model) <= {TensorProto.FLOAT, TensorProto.INT64}
    assert taken.model.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert taken.model.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=5e-3)


def test_network_that_means_its_rounding_is_refused() -> None:
    class Rounds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network()

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.network(images)
            # In FP16 the small part is lost.
            return ((logits + 4096).half() - 4096).float()

    with pytest.raises(ModelError, match="other outputs in FP32"):
        take_module(Rounds())
