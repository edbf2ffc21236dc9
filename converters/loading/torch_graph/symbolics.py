"""Exports torch operators that torch's exporter cannot handle. Runs in the child process."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.onnx import symbolic_helper
from torch.onnx.utils import register_custom_op_symbolic

from converters.loading.graph_file.graph import OPSET
from converters.loading.torch_graph.attention import encoder_layer, self_attention


def add_symbolics() -> None:
    """Register exports for attention, and for adaptive average pools to any size.

    A pool whose output size does not divide the input size is a product with a constant matrix
    along each axis. VGG and AlexNet have one for images smaller than ImageNet's.
    """
    for operator, symbolic in (
        ("adaptive_avg_pool2d", _adaptive_pool),
        ("_native_multi_head_attention", self_attention),
        ("_transformer_encoder_layer_fwd", encoder_layer),
    ):
        register_custom_op_symbolic(f"aten::{operator}", symbolic, OPSET)


@symbolic_helper.parse_args("v", "is")
def _adaptive_pool(graph: Any, images: Any, size: list[int]) -> Any:
    before = symbolic_helper._get_tensor_sizes(images)[-2:]  # noqa: SLF001  # has no public name
    if list(size) == [1, 1]:
        return graph.op("GlobalAveragePool", images)
    if None in before:
        rows = _window_means(graph, images, 2, size[0])
        columns = graph.op("Transpose", _window_means(graph, images, 3, size[1]), perm_i=[1, 0])
        return graph.op("MatMul", graph.op("MatMul", rows, images), columns)
    if all(old % new == 0 for old, new in zip(before, size, strict=True)):
        steps = [old // new for old, new in zip(before, size, strict=True)]
        return graph.op("AveragePool", images, kernel_shape_i=steps, strides_i=steps)
    rows, columns = (
        torch.from_numpy(pool_matrix(old, new)) for old, new in zip(before, size, strict=True)
    )
    pooled = graph.op("MatMul", graph.op("Constant", value_t=rows), images)
    return graph.op("MatMul", pooled, graph.op("Constant", value_t=columns.T.contiguous()))


def _window_means(graph: Any, images: Any, axis: int, after: int) -> Any:
    """`pool_matrix` for an axis whose length is dynamic."""

    def number(value: Any) -> Any:
        return graph.op("Constant", value_t=torch.tensor(value))

    shape = graph.op("Shape", images)
    length = graph.op("Gather", shape, number(axis), axis_i=0)
    rows, count = number([[row] for row in range(after)]), number(after)
    start = graph.op("Div", graph.op("Mul", rows, length), count)
    reached = graph.op("Mul", graph.op("Add", rows, number(1)), length)
    end = graph.op("Div", graph.op("Add", reached, number(after - 1)), count)
    places = graph.op("Range", number(0), length, number(1))
    is_inside = graph.op(
        "And", graph.op("GreaterOrEqual", places, start), graph.op("Less", places, end)
    )
    inside = graph.op("Cast", is_inside, to_i=torch.onnx.TensorProtoDataType.FLOAT)
    total = graph.op("ReduceSum", inside, number([1]), keepdims_i=1)
    return graph.op("Div", inside, total)


def pool_matrix(before: int, after: int) -> NDArray[np.float32]:
    """A matrix (after, before) of window means; window i is floor(i b / a) to ceil((i+1) b / a)."""
    matrix = np.zeros((after, before), np.float32)
    for row in range(after):
        start, end = row * before // after, -(-(row + 1) * before // after)
        matrix[row, start:end] = 1 / (end - start)
    return matrix
