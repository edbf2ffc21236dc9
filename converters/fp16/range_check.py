"""Finds the tensors of a network whose values exceed the range of FP16, on real images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from converters.fp16.sums import with_sums
from converters.onnx_graph.editing import copy_of
from converters.onnx_graph.lookup import tensor_types
from converters.onnx_graph.sessions import open_session, session_options

# Half of the largest FP16 number, since other images may give larger values.
LARGEST: Final = 65_504 / 2
_MAGNITUDE: Final = "{}_largest_magnitude"
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class OutOfRange:
    """Values that FP16 cannot hold, with their largest magnitudes.

    Attributes:
        tensors: by tensor. Nodes that read or compute it must stay in FP32.
        sums: internal sums of an operator, by its first output, which FP16 can hold. Only the
            operator itself must stay in FP32.
    """

    tensors: Mapping[str, float] = field(default_factory=dict)
    sums: Mapping[str, float] = field(default_factory=dict)


NONE_OUT_OF_RANGE: Final = OutOfRange()


def find_out_of_range(model: onnx.ModelProto, images: NDArray[np.uint8]) -> OutOfRange:
    """Find the tensors and internal sums that FP16 cannot hold on these images.

    Args:
        model: FP32.
        images: uint8 (n, height, width, 3), preprocessed.
    """
    types = tensor_types(model)
    made = (name for node in model.graph.node for name in node.output)
    tensors = [name for name in made if types.get(name) == TensorProto.FLOAT]
    extended = copy_of(model)
    sums = with_sums(extended)
    session = _open(extended, [*tensors, *sums.values()])
    (given,) = (value.name for value in session.get_inputs())
    # One image at a time, to bound the memory.
    rows = [session.run(None, {given: image[np.newaxis]}) for image in images]
    count = len(model.graph.output)
    largest = np.max([[float(value) for value in row[count:]] for row in rows], axis=0)
    in_tensors = _beyond(tensors, largest[: len(tensors)])
    in_sums = _beyond(list(sums), largest[len(tensors) :])
    return OutOfRange(in_tensors, {n: v for n, v in in_sums.items() if n not in in_tensors})


def largest_of(found: Mapping[str, float]) -> str:
    """The names of the largest few, for a message."""
    largest = sorted(found.items(), key=lambda item: -item[1])
    named = ", ".join(f"{name} (up to {value:.3g})" for name, value in largest[:_NAMED])
    more = len(largest) - _NAMED
    return f"{named} and {more} more" if more > 0 else named


def _beyond(names: Sequence[str], largest: NDArray[np.float64]) -> dict[str, float]:
    return {n: float(v) for n, v in zip(names, largest, strict=True) if v > LARGEST}


def _open(model: onnx.ModelProto, names: list[str]) -> ort.InferenceSession:
    """A session with additional outputs: the largest finite magnitude of each tensor."""
    graph = model.graph
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
    return open_session(model, session_options())
