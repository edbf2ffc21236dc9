"""Step: where a refused INT8 engine goes wrong.

Engines of the graph's beginning, up to one tensor or another, are compared with ONNX Runtime, which
computes the same graph node by node. Halving the list of tensors finds the first that differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from edge.backends.onnx import open_onnx
from edge.backends.trt import open_plan
from edge.backends.trt_build import BuildOptions, build_plan
from edge.errors import EdgeError
from edge.images import read_image
from edge.preprocess import preprocess
from tests.gpu.setting import Found, Setting, SkippedError

# Of the range of a tensor: rounding to INT8 in another order gives a few per cent.
LIMIT: Final = 0.10
MAX_BATCH: Final = 4
# Builds take seconds in place of a minute; the kernels are the same ones.
LEVEL: Final = 1

Deviate = Callable[[str], float]


def wrong_tensor(setting: Setting) -> Found:
    """The first tensor that differs, and how the whole engine does with other settings."""
    if "int8" not in setting.refused:
        raise SkippedError("the INT8 engine is right")
    graph = setting.bundle.tensorrt_graph("int8", weakly_typed=setting.library.is_weakly_typed)
    assert graph is not None
    model = onnx.load_from_string(setting.bundle.read(graph.path))
    image = read_image(setting.bundle.root / setting.bundle.golden[0].path)
    images = preprocess(image, setting.bundle.input)[np.newaxis]
    names = tensors(model)
    deviations: dict[str, float] = {}

    def deviate(name: str) -> float:
        deviations[name] = deviation(setting, beginning(model, name), images)
        return deviations[name]

    figures: dict[str, Any] = {"whole": _tried(setting, model, images)}
    first = first_wrong(names, deviate)
    figures |= {"first_wrong": first, "deviations": deviations}
    lines = [f"whole graph, {n}: {share}" for n, share in figures["whole"].items()]
    lines += [f"{name}: off by {share:.1%} of its range" for name, share in deviations.items()]
    return Found(figures, (*lines, f"first wrong tensor: {first}"))


def tensors(model: onnx.ModelProto) -> list[str]:
    """What is quantized on its way, in the graph's order: activations, no weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    quantized = [n.input[0] for n in model.graph.node if n.op_type == "QuantizeLinear"]
    found = [name for name in quantized if name not in weights]
    return [*dict.fromkeys(found), model.graph.output[0].name]


def beginning(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The graph up to one tensor, which becomes its output."""
    if name == model.graph.output[0].name:
        return model
    shapes = onnx.shape_inference.infer_shapes(model)
    extractor = onnx.utils.Extractor(shapes)
    return extractor.extract_model([model.graph.input[0].name], [name])


def first_wrong(names: list[str], deviate: Deviate) -> str | None:
    """The first name that deviates, if what follows it does too; found by halving."""
    low, high = 0, len(names)
    while low < high:
        middle = (low + high) // 2
        if deviate(names[middle]) > LIMIT:
            high = middle
        else:
            low = middle + 1
    return names[low] if low < len(names) else None


def deviation(
    setting: Setting, model: onnx.ModelProto, images: NDArray[np.uint8], **options: Any
) -> float:
    """Largest difference to ONNX Runtime, as a share of the tensor's range."""
    graph = model.SerializeToString()
    settings = BuildOptions("int8", max_batch=MAX_BATCH, level=LEVEL)
    plan = build_plan(
        setting.library,
        graph,
        replace(settings, **options),
        setting.machine,
        lambda _step, _done, _total: None,
    )
    assert plan.record.graph_sha256 == hashlib.sha256(graph).hexdigest()
    session = open_plan(setting.library, plan)
    try:
        found = session.infer(images)
    finally:
        session.close()
    expected = open_onnx(graph, "int8", optimise=False).infer(images)
    return float(np.abs(found - expected).max() / max(float(np.ptp(expected)), 1e-9))


def _tried(
    setting: Setting, model: onnx.ModelProto, images: NDArray[np.uint8]
) -> dict[str, float | str]:
    """The whole graph with one setting changed at a time."""
    tries: dict[str, dict[str, Any]] = {
        "as built quickly": {},
        "INT8 without FP16": {"allows_fp16": False},
        "level 0": {"level": 0},
    }
    shares: dict[str, float | str] = {}
    for name, options in tries.items():
        try:
            shares[name] = deviation(setting, model, images, **options)
        except EdgeError as error:
            shares[name] = str(error)
    return shares
