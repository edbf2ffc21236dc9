"""Which tensors of a network leave the range of FP16, on real images."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from converters.onnx_graph.editing import copy_of
from converters.onnx_graph.lookup import tensor_types
from converters.onnx_graph.sessions import open_session, session_options

# Half of the largest FP16 number, since other images give larger values than these.
LARGEST: Final = 65_504 / 2
# They square their values and add them up before they take the root. ONNX defines them by operators
# in the type of the input, so that the sum of squares is in FP16 too.
_ROOTS_OF_SQUARES: Final = frozenset({"ReduceL2", "LpPool", "GlobalLpPool"})
_MAGNITUDE: Final = "{}_largest_magnitude"


def leaving_fp16(model: onnx.ModelProto, images: NDArray[np.uint8]) -> dict[str, float]:
    """The tensors that FP16 cannot hold, each with its largest magnitude on these images.

    Of a norm it is the sum of squares that the norm is the root of.

    Args:
        model: FP32.
        images: uint8 (n, height, width, 3), preprocessed.
    """
    types = tensor_types(model)
    made = (name for node in model.graph.node for name in node.output)
    names = [name for name in made if types.get(name) == TensorProto.FLOAT]
    session = _open(model, names)
    (given,) = (value.name for value in session.get_inputs())
    outputs = [_MAGNITUDE.format(name) for name in names]
    # One by one: the memory is that of one image's activations.
    rows = [session.run(outputs, {given: image[np.newaxis]}) for image in images]
    largest = np.max(np.asarray(rows, np.float64), axis=0)
    roots = {
        n for node in model.graph.node if node.op_type in _ROOTS_OF_SQUARES for n in node.output
    }
    largest = np.where([name in roots for name in names], largest**2, largest)
    return {
        name: float(value) for name, value in zip(names, largest, strict=True) if value > LARGEST
    }


def _open(model: onnx.ModelProto, names: list[str]) -> ort.InferenceSession:
    """A session that gives the largest finite magnitude of each tensor."""
    extended = copy_of(model)
    graph = extended.graph
    graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), "no_magnitude"))
    for name in names:
        magnitude = _MAGNITUDE.format(name)
        steps = [f"{magnitude}_{step}" for step in ("is_infinite", "finite", "absolute")]
        graph.node.extend(
            [
                helper.make_node("IsInf", [name], [steps[0]]),
                helper.make_node("Where", [steps[0], "no_magnitude", name], [steps[1]]),
                helper.make_node("Abs", [steps[1]], [steps[2]]),
                helper.make_node("ReduceMax", [steps[2]], [magnitude], keepdims=0),
            ]
        )
        graph.output.append(helper.make_tensor_value_info(magnitude, TensorProto.FLOAT, []))
    return open_session(extended, session_options())
