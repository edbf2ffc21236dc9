from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge.errors import ModelError
from tests.support.networks.onnx_lab import given_by, operators, outputs_of, take, to_onnx


class Body(nn.Module):
    """Layers that the branches and loops below share, as TorchScript takes them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.more = nn.Conv2d(8, 8, 3, 1, 1)
        self.head = nn.Linear(8, 3)


class BranchOnPixels(Body):
    def forward(self, images: Tensor) -> Tensor:
        found = self.body(images)
        if bool(found.mean() > 100.0):
            found = torch.relu(self.more(found))
        else:
            found = torch.relu(self.more(found)) + found
        return self.head(found.mean((2, 3)))  # type: ignore[no-any-return]


class BranchOnBatch(Body):
    def forward(self, images: Tensor) -> Tensor:
        found = self.body(images)
        if found.shape[0] == 1:
            found = torch.relu(self.more(found))
        else:
            found = torch.relu(self.more(found)) + found
        return self.head(found.mean((2, 3)))  # type: ignore[no-any-return]


class BranchOnSize(Body):
    def forward(self, images: Tensor) -> Tensor:
        found = self.body(images)
        if found.shape[2] != 16:
            found = torch.relu(self.more(found))
        elif found.shape[1] == 8:
            found = torch.relu(self.more(found)) + found
        return self.head(found.mean((2, 3)))  # type: ignore[no-any-return]


class CountedLoop(Body):
    def forward(self, images: Tensor) -> Tensor:
        found = self.body(images)
        for number in range(found.shape[2] // 4):
            found = torch.relu(self.more(found)) + found * (0.5 / (number + 1))
        return self.head(found.mean((2, 3)))  # type: ignore[no-any-return]


class LoopOnPixels(Body):
    def forward(self, images: Tensor) -> Tensor:
        found = self.body(images)
        while bool(found.mean() < 100.0):
            found = found * 2
        return self.head(found.mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [BranchOnSize, CountedLoop])
@pytest.mark.filterwarnings("ignore")
def test_control_flow_that_is_the_same_for_every_image_is_written_out(kind: type[Body]) -> None:
    module = kind().eval()
    model = to_onnx(torch.jit.script(module), is_dynamic=True)
    assert {"If", "Loop"} & {node.op_type for node in model.graph.node}
    taken = take(model)
    assert not {"If", "Loop"} & set(operators(taken))
    np.testing.assert_allclose(outputs_of(taken), given_by(module), atol=1e-5)
    assert "inlined" in taken.changes[0]


@pytest.mark.parametrize("kind", [BranchOnPixels, BranchOnBatch, LoopOnPixels])
@pytest.mark.filterwarnings("ignore")
def test_control_flow_that_depends_on_the_image_is_refused(kind: type[Body]) -> None:
    model = to_onnx(torch.jit.script(kind().eval()), is_dynamic=True)
    with pytest.raises(ModelError, match=r"m\.onnx has control flow .* a branch or a number"):
        take(model)
