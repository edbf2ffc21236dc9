"""What a TensorRT graph's logits would be if a library misread it in one way or another.

    python -m tests.gpu.misreadings NAME.edge [GRAPH]

Computed by ONNX Runtime, without a GPU. Compared with how far a real engine is off, the table says
which misreadings cannot be the cause.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edge.backends.onnx import open_onnx
from edge.bundle import load_bundle
from edge.image_files.read import read_image
from edge.preprocess import preprocess

Misread = Callable[[onnx.ModelProto], None]

GRAPH: Final = "model.int8.trt8.onnx"
IMAGES: Final = 3


def relu(model: onnx.ModelProto) -> None:
    """The upper bound of ReLU6 is ignored."""
    for node in _nodes(model, "Clip"):
        _replace(node, "Relu", node.input[0])


def no_activation(model: onnx.ModelProto) -> None:
    """ReLU6 is left out."""
    for node in _nodes(model, "Clip"):
        _replace(node, "Identity", node.input[0])


def identity_left_out(model: onnx.ModelProto) -> None:
    """Residual additions lose their identity."""
    for node, side in _residuals(model):
        _replace(node, "Identity", node.input[1 - side])


def identity_not_quantized(model: onnx.ModelProto) -> None:
    """Residual additions take their identity before its Q/DQ pair."""
    made_by = {node.output[0]: node for node in model.graph.node}
    for node, side in _residuals(model):
        node.input[side] = made_by[made_by[node.input[side]].input[0]].input[0]


def weights_per_tensor(model: onnx.ModelProto) -> None:
    """All channels of a weight have the largest one's scale."""
    for scale in _weight_scales(model):
        values = numpy_helper.to_array(scale)
        _set(scale, np.full_like(values, values.max()))


def first_channel_s_scale(model: onnx.ModelProto) -> None:
    """All channels of a depthwise weight have the first one's scale."""
    for node in _nodes(model, "Conv"):
        if any(a.name == "group" and a.i > 1 for a in node.attribute):
            scale = next(s for s in _weight_scales(model) if s.name.startswith(node.name))
            values = numpy_helper.to_array(scale)
            _set(scale, np.full_like(values, max(values[0], 1e-8)))


def no_bias(model: onnx.ModelProto) -> None:
    """The last layer has no bias."""
    biases = {node.input[2] for node in _nodes(model, "Gemm")}
    for tensor in model.graph.initializer:
        if tensor.name in biases:
            _set(tensor, np.zeros_like(numpy_helper.to_array(tensor)))


def padding_at_the_end(model: onnx.ModelProto) -> None:
    """Convolutions of stride 2 are padded after the image alone."""
    for node in _nodes(model, "Conv"):
        named = {a.name: a.ints for a in node.attribute if a.ints}
        if list(named.get("strides", ())) == [2, 2] and list(named["pads"]) == [1, 1, 1, 1]:
            named["pads"][:] = [0, 0, 2, 2]


def six_bits(model: onnx.ModelProto) -> None:
    """Activations have steps that are four times as large."""
    for node in _nodes(model, "QuantizeLinear"):
        for tensor in model.graph.initializer:
            if tensor.name == node.input[1] and not tensor.dims:
                _set(tensor, 4 * numpy_helper.to_array(tensor))


MISREADINGS: Final[tuple[Misread, ...]] = (
    relu,
    no_activation,
    identity_left_out,
    identity_not_quantized,
    weights_per_tensor,
    first_channel_s_scale,
    no_bias,
    padding_at_the_end,
    six_bits,
)


def deviations(
    model: onnx.ModelProto, images: list[NDArray[np.uint8]]
) -> dict[Misread, list[float]]:
    """How far the logits of each image are off, as a share of their range."""
    right = _logits(model, images)
    found = {}
    for misread in MISREADINGS:
        changed = onnx.ModelProto.FromString(model.SerializeToString())
        misread(changed)
        pairs = zip(_logits(changed, images), right, strict=True)
        found[misread] = [float(np.abs(a - b).max() / np.ptp(b)) for a, b in pairs]
    return found


def main(root: Path, graph: str) -> int:
    """Print the table; returns the exit code."""
    bundle = load_bundle(root)
    model = onnx.load_from_string(bundle.read(graph))
    golden = bundle.golden[:IMAGES]
    images = [preprocess(read_image(root / g.path), bundle.input)[np.newaxis] for g in golden]
    for misread, shares in deviations(model, images).items():
        told = "  ".join(f"{share:6.1%}" for share in shares)
        sys.stdout.write(f"{told}  {misread.__doc__}\n")
    return 0


def _logits(model: onnx.ModelProto, images: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    session = open_onnx(model.SerializeToString(), "int8", optimise=False)
    return [session.infer(image).logits[0] for image in images]


def _nodes(model: onnx.ModelProto, operator: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == operator]


def _residuals(model: onnx.ModelProto) -> list[tuple[onnx.NodeProto, int]]:
    """Additions of which one side is quantized, and which side that is."""
    dequantized = {node.output[0] for node in _nodes(model, "DequantizeLinear")}
    found = []
    for node in _nodes(model, "Add"):
        sides = [number for number, name in enumerate(node.input) if name in dequantized]
        if len(sides) == 1:
            found.append((node, sides[0]))
    return found


def _weight_scales(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    return [t for t in model.graph.initializer if t.name.endswith("_weight_scale")]


def _replace(node: onnx.NodeProto, operator: str, source: str) -> None:
    node.CopyFrom(helper.make_node(operator, [source], node.output, name=node.name))


def _set(tensor: onnx.TensorProto, values: NDArray[np.generic]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else GRAPH))
