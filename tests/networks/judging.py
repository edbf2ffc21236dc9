"""What a bundle's graphs are worth: accuracy on test images, agreement, share, speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.backends.cpu import has_vnni
from edge.backends.interleave import interleave
from edge.backends.onnx import open_onnx
from edge.bundle import Bundle
from edge.shares.share import Share
from tests.networks.training.images import Labelled

Infer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
X86: Final = "x86"
TENSORRT: Final = "tensorrt"
MEASURE_S: Final = 3.0
_ROUNDS: Final = (5, 40)
_CALLS_PER_ROUND: Final = 6


def graphs(bundle: Bundle) -> dict[str, str]:
    """The files of the graphs that are there, by what they are for."""
    wanted = {
        "fp32": "model.fp32.onnx",
        X86: "model.int8.onnx" if has_vnni() else "model.int8.7bit.onnx",
        TENSORRT: "model.int8.trt.onnx",
    }
    present = {artefact.path for artefact in bundle.artefacts}
    return {name: path for name, path in wanted.items() if path in present}


def judged(bundle: Bundle, test: Labelled) -> dict[str, Any]:
    """Accuracy and agreement with FP32 of each graph, and its share of multiplies in INT8."""
    labels = {name: _labels(bundle, name, path, test) for name, path in graphs(bundle).items()}
    quantization = bundle.manifest["quantization"]["graphs"]
    return {
        "accuracy": {
            name: Share(int((found == test.labels).sum()), len(found)).to_dict()
            for name, found in labels.items()
        },
        "agreement": {
            name: round(float((found == labels["fp32"]).mean()), 4)
            for name, found in labels.items()
            if name != "fp32"
        },
        "int8_share": {
            name: quantization[name]["int8_share_of_macs"] for name in labels if name != "fp32"
        },
    }


def _labels(bundle: Bundle, name: str, path: str, test: Labelled) -> NDArray[np.int64]:
    # ONNX Runtime's optimisations misread the form for TensorRT.
    session = open_onnx(bundle.read(path), "int8", optimise=name != TENSORRT)
    found = [session.infer(image[None]).logits.argmax() for image in test.images]
    return np.array(found, np.int64)


def timed(sessions: dict[str, Infer], image: NDArray[np.uint8]) -> dict[str, float]:
    """Median milliseconds of one image (height, width, 3), all of them in turn in one run."""
    calls = {name: _call(infer, image[None]) for name, infer in sessions.items()}
    first = interleave(calls, 1, calls_per_round=2)
    round_s = sum(one.median for one in first.values()) * _CALLS_PER_ROUND / 1e3
    rounds = int(np.clip(MEASURE_S / round_s, *_ROUNDS))
    found = interleave(calls, rounds, calls_per_round=_CALLS_PER_ROUND - 1)
    return {name: round(one.median, 3) for name, one in found.items()}


def _call(infer: Infer, batch: NDArray[np.uint8]) -> Callable[[int], object]:
    return lambda _: infer(batch)


def logits_of(model: bytes) -> Infer:
    """An INT8 graph as a function, opened with ONNX Runtime's default optimisations."""
    session = open_onnx(model, "int8")
    return lambda images: session.infer(images).logits


def served(bundle: Bundle) -> dict[str, Infer]:
    """The graphs that ONNX Runtime serves on this machine, opened with one thread."""
    return {
        name: logits_of(bundle.read(path))
        for name, path in graphs(bundle).items()
        if name != TENSORRT
    }
