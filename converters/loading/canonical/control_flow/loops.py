"""Unrolls a Loop with a known number of iterations into copies of its body."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from converters.loading.canonical.control_flow.inlining import Renamer
from converters.onnx_graph.editing import add_constant, int_list, replace
from converters.onnx_graph.lookup import attribute, constants
from converters.onnx_graph.nested import all_names

# More iterations are refused: each copy's layers would be calibrated and corrected.
_MAX_ROUNDS: Final = 64


def unroll(model: onnx.ModelProto, loop: onnx.NodeProto, rounds: int) -> bool:
    """Replace a loop by copies of its body; False if it may end earlier or is too long."""
    body: onnx.GraphProto = attribute(loop, "body")
    carried_count = len(loop.input) - 2
    if not 0 < rounds <= _MAX_ROUNDS or not _always_continues(model, body):
        return False
    carried, scanned = list(loop.input[2:]), [list[str]() for _ in loop.output[carried_count:]]
    nodes, taken = [], all_names(model.graph)
    names = [value.name for value in body.input]
    for number in range(rounds):
        counter = add_constant(model, "round", np.array(number, np.int64))
        goes_on = add_constant(model, "goes_on", np.ones((), bool))
        taken |= {counter, goes_on}
        renamer = Renamer(body, taken, dict(zip(names, [counter, goes_on, *carried], strict=True)))
        nodes += renamer.nodes()
        model.graph.initializer.extend(renamer.initializers())
        results = [renamer.renamed(value.name) for value in body.output][1:]
        carried = results[:carried_count]
        for collected, result in zip(scanned, results[carried_count:], strict=True):
            collected.append(result)
    replace(model, loop, nodes + _results(model, loop, carried, scanned))
    return True


def _always_continues(model: onnx.ModelProto, body: onnx.GraphProto) -> bool:
    """Whether the body passes its condition on unchanged, or sets it to a constant True."""
    wanted, given = body.output[0].name, body.input[1].name
    known = constants(model) | {tensor.name: tensor for tensor in body.initializer}
    computed = {name: node for node in body.node for name in node.output}
    while (node := computed.get(wanted)) is not None and node.op_type in ("Identity", "Cast"):
        wanted = node.input[0]
    if node is not None and node.op_type == "Constant":
        value = attribute(node, "value")
        return value is not None and bool(numpy_helper.to_array(value).all())
    return wanted == given or (wanted in known and bool(numpy_helper.to_array(known[wanted]).all()))


def _results(
    model: onnx.ModelProto, loop: onnx.NodeProto, carried: list[str], scanned: list[list[str]]
) -> list[onnx.NodeProto]:
    """Nodes for the loop's outputs: last values of its variables, and stacks of scan outputs."""
    count = len(carried)
    nodes = [
        helper.make_node("Identity", [value], [output])
        for value, output in zip(carried, loop.output[:count], strict=False)
        if output
    ]
    for collected, output in zip(scanned, loop.output[count:], strict=True):
        axis = int_list(model, "first_axis", [0])
        rows = [f"{name}_row" for name in collected]
        nodes += [
            helper.make_node("Unsqueeze", [n, axis], [r])
            for n, r in zip(collected, rows, strict=True)
        ]
        nodes.append(helper.make_node("Concat", rows, [output], axis=0))
    return nodes
