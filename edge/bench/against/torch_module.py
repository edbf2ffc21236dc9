"""A PyTorch module from the bundle's FP32 graph, as one would write it by hand.

The weights are the bundle's. Batch normalisations are already folded into the convolutions, which
makes the module a little faster than the one that was trained.
"""

from __future__ import annotations

import torch
from torch import fx, nn

from edge.bench.against.onnx_nodes import OnnxNodes
from edge.bench.against.torch_operators import OPERATORS, Program
from edge.errors import BackendError


def to_module(nodes: OnnxNodes) -> nn.Module:
    """The graph as a module: uint8 (batch, height, width, 3) to a tuple of its outputs.

    Raises:
        BackendError: the graph has an operator that is not translated.
    """
    unknown = sorted({node.kind for node in nodes.nodes} - set(OPERATORS))
    if unknown:
        raise BackendError(f"the graph has operators without a translation: {', '.join(unknown)}")
    root, graph = nn.Module(), fx.Graph()
    program = Program(graph, {nodes.image_input: graph.placeholder("images")}, nodes.constants)
    used = {name for node in nodes.nodes for name in node.inputs}
    for number, name in enumerate(used & set(nodes.constants)):
        root.register_buffer(f"constant_{number}", torch.from_numpy(nodes.constants[name]))
        program.values[name] = graph.get_attr(f"constant_{number}")
    for node in nodes.nodes:
        program.values[node.outputs[0]] = OPERATORS[node.kind](program, node)
    graph.output(tuple(program.values[name] for name in nodes.outputs))
    graph.eliminate_dead_code()
    return fx.GraphModule(root, graph).eval()
