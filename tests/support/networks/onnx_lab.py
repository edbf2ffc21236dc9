"""Small networks as ONNX, the way people export them, taken in as files are."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from converters.loading.canonical.canonicalize import canonicalize
from converters.loading.canonical.heads import HEADS
from converters.loading.canonical.working_model.graph_session import open_graph
from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.loading.child.torch_source import to_canonical
from converters.loading.sandbox.limits import Limits
from converters.loading.sandbox.messages import ChildRequest
from converters.loading.torch_graph.run import run_module

CLASS_COUNT = 3
REQUEST = ChildRequest("m.pt", "0" * 64, None, CLASS_COUNT, trusted=False, limits=Limits())
SAMPLES: NDArray[np.float32] = (
    np.random.default_rng(0).normal(0, 1, (5, 3, 32, 32)).astype(np.float32)
)


def network(channels: int = 3) -> nn.Sequential:
    """Convolutions, a batch norm, a mean over space, a linear layer, at random but always so."""
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, CLASS_COUNT),
    ).eval()


class Then(nn.Module):
    """The network, and something behind it."""

    def __init__(self, behind: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.network = network()
        self.behind = behind

    def forward(self, images: Tensor) -> Any:
        return self.behind(self.network(images))


def to_onnx(
    module: nn.Module,
    example: Tensor | None = None,
    *,
    opset: int = 17,
    is_dynamic: bool = False,
    **more: Any,
) -> onnx.ModelProto:
    buffer = io.BytesIO()
    images = torch.zeros(1, 3, 32, 32) if example is None else example
    axes = {"x": {0: "n"}} if is_dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (images,),
            buffer,  # type: ignore[arg-type]  # accepted, though not annotated
            dynamo=False,
            opset_version=opset,
            input_names=["x"],
            dynamic_axes=axes,
            **more,
        )
    return onnx.load_model_from_string(buffer.getvalue())


def take(model: onnx.ModelProto) -> WorkingModel:
    """An ONNX file in canonical form."""
    return canonicalize(model.SerializeToString(), "m.onnx", CLASS_COUNT, SAMPLES)


def take_module(module: nn.Module, batch: int = 0) -> WorkingModel:
    """A torch module that was run, exported and brought to canonical form."""
    with torch.no_grad():
        ran = run_module(module, REQUEST.name, CLASS_COUNT, SAMPLES, batch)
    taken = to_canonical(ran, REQUEST, SAMPLES)
    taken.changes[:0] = ran.changes
    return taken


def given_by(module: nn.Module) -> NDArray[np.float32]:
    """What torch computes for the samples."""
    with torch.no_grad():
        return np.asarray(module(torch.from_numpy(SAMPLES)).numpy(), np.float32)


def outputs_of(working: WorkingModel, count: int = 5) -> NDArray[np.float64]:
    """What the taken graph gives for the first samples as one batch, behind its head."""
    (found,) = open_graph(working.model).infer(SAMPLES[:count]).values()
    values = found.astype(np.float64)
    return HEADS[working.removed_head](values) if working.removed_head else values


def operators(working: WorkingModel) -> list[str]:
    return [node.op_type for node in working.model.graph.node]
