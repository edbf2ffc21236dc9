"""A torch module to ONNX bytes: float (batch, 3, h, w) in, as the module takes it. In the child."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

from converters.loading.graph import OPSET
from edge.errors import ModelError


def export(
    module: nn.Module, name: str, height: int, width: int, *, any_size: bool = False
) -> bytes:
    """The module's graph with a dynamic batch, and with `any_size` a dynamic height and width.

    Raises:
        ModelError: it does not take such images, or holds what ONNX has no operator for.
    """
    example = torch.zeros(2, 3, height, width)
    axes = {0: "batch", 2: "height", 3: "width"} if any_size else {0: "batch"}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="edge-convert-") as folder,
            warnings.catch_warnings(),
        ):
            path = Path(folder) / "exported.onnx"
            # The TorchScript exporter is deprecated, but TorchScript files have no other one,
            # and it writes GlobalAveragePool where the new one leaves ReduceMean.
            warnings.simplefilter("ignore")
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)
            torch.onnx.export(
                module,
                (example,),
                path,
                dynamo=False,
                # As it is, in evaluation mode: batch norms stay, whose statistics tell what the
                # network was trained on. They are folded later.
                training=torch.onnx.TrainingMode.PRESERVE,
                opset_version=OPSET,
                input_names=["input"],
                output_names=["logits"],
                dynamic_axes={"input": axes, "logits": {0: "batch"}},
            )
            return path.read_bytes()
    except (RuntimeError, torch.onnx.errors.OnnxExporterError, TypeError, ValueError) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"{name} does not run on float images (batch, 3, {height}, {width}) or cannot be "
            f"exported: {first_line[:200]}"
        ) from error
