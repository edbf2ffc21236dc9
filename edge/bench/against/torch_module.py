"""A PyTorch module from the bundle's FP32 graph, as one would write it by hand.

The weights are the bundle's. The converter folded batch normalisations into the convolutions, and
the names of the weights still say where. A script runs the network as it was trained, so they are
put back as normalisations that change nothing: a third of cells8's time in PyTorch is theirs.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import fx, nn

from edge.bench.against.onnx_nodes import OnnxNode, OnnxNodes
from edge.bench.against.torch_operators import OPERATORS, Program
from edge.errors import BackendError

# What ONNX Runtime, which folds them, puts before the name of a weight.
_FOLDED: Final = "ConvBnFusion_"


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
        result = OPERATORS[node.kind](program, node)
        if node.kind == "Conv" and node.inputs[1].startswith(_FOLDED):
            result = _normalised(root, program, node, result)
        program.values[node.outputs[0]] = result
    graph.output(tuple(program.values[name] for name in nodes.outputs))
    graph.eliminate_dead_code()
    return fx.GraphModule(root, graph).eval()


def _normalised(root: nn.Module, program: Program, node: OnnxNode, image: fx.Node) -> fx.Node:
    """A batch normalisation of a convolution's result that gives it back as it is."""
    channels = len(program.constants[node.inputs[1]])
    for name, value in (("zeros", 0.0), ("ones", 1.0)):
        root.register_buffer(f"{name}_{channels}", torch.full((channels,), value))
    zeros = program.graph.get_attr(f"zeros_{channels}")
    ones = program.graph.get_attr(f"ones_{channels}")
    return program.call(F.batch_norm, image, zeros, ones, ones, zeros, eps=0.0)


def count_of_norms(module: nn.Module) -> int:
    """How many batch normalisations a module of `to_module` runs."""
    nodes = module.graph.nodes if isinstance(module, fx.GraphModule) else ()
    return sum(node.target is F.batch_norm for node in nodes)
