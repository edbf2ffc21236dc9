"""Untrained networks, exported and calibrated on drawn cells."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from converters.architectures.efficientnet_lite0 import efficientnet_lite0
from converters.calibration.calibration import calibrate
from converters.calibration.ranges import Range, choose_ranges
from converters.export.torch_to_onnx import source_to_onnx
from converters.inputs.image_set import draw_images, image_batches
from converters.int8.onnx_to_int8 import Int8Model, quantizable_tensors, quantize
from converters.layers.placement import TENSORRT, X86, Placement
from converters.loading.checkpoint import SourceKind, SourceModel
from converters.loading.samples import normalise
from edge.preprocess import InputSpec
from tests.support.networks.networks import NETWORKS
from tests.support.networks.transformers import TRANSFORMERS

SPEC = InputSpec(64, 64, "rgb", "area", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0.65)
ALL = {**NETWORKS, "efficientnet_lite0": efficientnet_lite0}
_KNOWN = {**ALL, **TRANSFORMERS}


@dataclass(frozen=True, slots=True)
class Calibrated:
    """An exported network with the ranges of its activations and images to try it on."""

    source: SourceModel
    fp32: onnx.ModelProto
    ranges: Callable[[bool], dict[str, Range]]
    images: NDArray[np.uint8]

    def quantized(self, placement: Placement, **options: object) -> Int8Model:
        ranges = self.ranges(placement.symmetric)
        return quantize(self.fp32, ranges, SPEC, placement, **options)  # type: ignore[arg-type]


def calibrated(name: str, folder: Path) -> Calibrated:
    torch.manual_seed(1)
    network = _KNOWN[name](8).train()
    images = draw_images(32, 5, folder / "images")
    batch = np.concatenate(list(image_batches(images, SPEC, 32)))
    with torch.no_grad():  # gives the batch norms real statistics
        for _ in range(8):
            network(torch.from_numpy(normalise(batch, SPEC)))
    source = exported(network.eval(), batch, folder)
    fp32 = source_to_onnx(source, SPEC)
    tensors = quantizable_tensors(fp32, X86, TENSORRT)
    histograms = calibrate(fp32, tensors, images, SPEC, lambda *_: None).histograms
    return Calibrated(
        source,
        fp32,
        lambda symmetric: choose_ranges(histograms, "max", symmetric=symmetric),
        batch,
    )


def exported(network: torch.nn.Module, batch: NDArray[np.uint8], folder: Path) -> SourceModel:
    floats = torch.from_numpy(normalise(batch, SPEC))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (floats[:2],),
            folder / "net.onnx",
            dynamo=False,
            opset_version=17,
            input_names=["input"],
            dynamic_axes={"input": {0: "batch"}},
        )
    with torch.inference_mode():
        logits = network(floats).numpy()
    graph = onnx.load(folder / "net.onnx")
    return SourceModel(folder / "net.onnx", SourceKind.ONNX, "", graph, logits, {})
