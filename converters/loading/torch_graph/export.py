"""Exports a torch module to ONNX. Runs in the child process."""

from __future__ import annotations

import logging
import re
import tempfile
import warnings
from pathlib import Path
from typing import Final

import torch
from torch import nn

from converters.loading.canonical.training_mode import measures_batch
from converters.loading.canonical.working_model.graph_session import reason_of
from converters.loading.graph_file.graph import OPSET
from converters.loading.torch_graph.symbolics import add_symbolics
from edge.errors import ModelError

# The exporter's error for an operator that it cannot translate.
_UNSUPPORTED: Final = re.compile(r"operator '?(aten::\w+)'?")
_CANNOT: Final = (
    *(RuntimeError, TypeError, ValueError, AssertionError, LookupError),
    torch.onnx.errors.OnnxExporterError,
)
# Its error for a batch norm without running statistics.
_NO_STATISTICS: Final = "batch_size and channel_size must be non-None"


def export(
    module: nn.Module,
    name: str,
    height: int,
    width: int,
    batch: int = 2,
    *,
    any_size: bool = False,
) -> bytes:
    """Export a module to ONNX, for float images (batch, 3, h, w).

    Args:
        batch: the example's batch; code that depends on it may fix it in the graph.
        any_size: make height and width dynamic too, if the module allows it.

    Raises:
        ModelError: the module refuses such images, or has an operator that ONNX lacks.
    """
    example = torch.zeros(batch, 3, height, width)
    axes = {0: "batch", 2: "height", 3: "width"} if any_size else {0: "batch"}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="edge-convert-") as folder,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            path = Path(folder) / "exported.onnx"
            _write(_traceable(module, example), example, axes, path)
            return path.read_bytes()
    except _CANNOT as error:
        raise _cannot_export(name, error) from error


def _write(module: nn.Module, example: torch.Tensor, axes: dict[int, str], path: Path) -> None:
    """Export a traceable module to a file; `axes` are the dynamic axes of the input."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    add_symbolics()
    torch.onnx.export(
        module,
        (example,),
        path,
        # The TorchScript exporter is deprecated, but the only one for TorchScript files. It also
        # writes GlobalAveragePool where the new one writes ReduceMean.
        dynamo=False,
        # Keeps batch norms, which are folded later: their statistics are needed to check the
        # card's normalisation.
        training=torch.onnx.TrainingMode.PRESERVE,
        opset_version=OPSET,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": axes, "logits": {0: "batch"}},
    )


def _traceable(module: nn.Module, example: torch.Tensor) -> nn.Module:
    """A module that the exporter can handle; a trace of the module if needed.

    The exporter calls train() and eval(), which an exported program refuses but its trace allows.
    Nor can it export a script inside another module, but it can export a trace of it.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return module
    traced_first = (torch.fx.GraphModule, torch.jit.ScriptModule)
    if not any(isinstance(part, traced_first) for part in module.modules()):
        return module
    traced: nn.Module = torch.jit.trace(  # type: ignore[no-untyped-call]
        module, example, check_trace=False
    )
    return traced


def _cannot_export(name: str, error: Exception) -> ModelError:
    if _NO_STATISTICS in str(error):
        return measures_batch(name)
    operator = _UNSUPPORTED.search(str(error))
    what = f"it uses {operator[1]}: " if operator else ""
    return ModelError(
        f"{name} runs, but torch's exporter cannot write it as ONNX of opset {OPSET} "
        f"({what}{reason_of(error)}). Replace that part of the network, or export to ONNX "
        "yourself (torch.onnx.export with dynamo=True) and convert that file."
    )
