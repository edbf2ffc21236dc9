"""Refuses an ONNX graph whose tensor sizes or loop counts depend on the content of an image.

The child process runs a graph on a few images, with limits on time and memory. The converter and
the workstation run it on all other images without limits, so one image could need any amount of
memory or loop for ever. Sizes computed from constants and from tensor shapes are the same for all
images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import onnx

from converters.onnx_graph.lookup import graph_inputs
from converters.onnx_graph.nested import bodies
from edge.errors import ModelError

# By operator, the inputs that determine a size or a number of iterations.
_SIZES: Final = {
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Upsample", "Pad", "OneHot", "TopK"), (1,)),
    "ConstantOfShape": (0,),
    "Range": (0, 1, 2),
    "Resize": (2, 3),
    "MaxUnpool": (2,),
    "Loop": (0, 1),
}
_OF_SHAPES: Final = ("Shape", "Size")
# Position of the loop condition among the outputs of a loop's body.
_CONDITION: Final = 0


def require_fixed_sizes(model: onnx.ModelProto, name: str) -> None:
    """Check that no size and no loop depends on an image's content.

    Raises:
        ModelError: one does; the message names the operator.
    """
    from_images = {value.name for value in graph_inputs(model)}
    found = next(_unbounded(model.graph, from_images), None)
    if found is not None:
        raise ModelError(
            f"{name} has a {found.op_type} ({found.name or found.output[0]}) whose size or count "
            "depends on what the image shows, so an image could need any time and memory. "
            "Export the network with fixed sizes and without such loops."
        )


def _unbounded(graph: onnx.GraphProto, from_images: set[str]) -> Iterator[onnx.NodeProto]:
    """Nodes whose size depends on images; adds tensors computed from images to `from_images`."""
    for node in graph.node:
        sizes = [node.input[i] for i in _SIZES.get(node.op_type, ()) if i < len(node.input)]
        if not from_images.isdisjoint(sizes):
            yield node
        depends = not from_images.isdisjoint(node.input)
        for body in bodies(node):
            yield from _unbounded_in_body(body, from_images, depends=depends)
            if node.op_type == "Loop" and body.output[_CONDITION].name in from_images:
                yield node
            depends |= _outputs_any(body, from_images)
        if depends and node.op_type not in _OF_SHAPES:
            from_images |= set(node.output)


def _unbounded_in_body(
    body: onnx.GraphProto, from_images: set[str], *, depends: bool
) -> Iterator[onnx.NodeProto]:
    if not depends:
        yield from _unbounded(body, from_images)
    # The outputs of one iteration of a loop are the inputs of the next.
    if depends or _outputs_any(body, from_images):
        from_images |= {value.name for value in body.input}
        yield from _unbounded(body, from_images)


def _outputs_any(body: onnx.GraphProto, from_images: set[str]) -> bool:
    return not from_images.isdisjoint(value.name for value in body.output)
