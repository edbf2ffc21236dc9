"""An ONNX graph whose sizes or loops depend on what an image shows cannot be bounded beforehand.

The child runs a graph on a few images within limits. The converter and the workstation run it on
all others without: one image could then ask for any memory, or for a loop without an end. Sizes
computed from constants and from the shapes of tensors are the same for every image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import onnx

from converters.onnx_graph.lookup import graph_inputs
from converters.onnx_graph.nested import bodies
from edge.errors import ModelError

# Inputs of operators that say how large something becomes, or how often it is done.
_SIZES: Final = {
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Upsample", "Pad", "OneHot", "TopK"), (1,)),
    "ConstantOfShape": (0,),
    "Range": (0, 1, 2),
    "Resize": (2, 3),
    "MaxUnpool": (2,),
    "Loop": (0, 1),
}
_OF_SHAPES: Final = ("Shape", "Size")
# The outputs of a loop's body begin with whether it goes on.
_GOES_ON: Final = 0


def require_fixed_sizes(model: onnx.ModelProto, name: str) -> None:
    """No size and no loop depends on an image's content.

    Raises:
        ModelError: one does; the operator is named.
    """
    from_images = {value.name for value in graph_inputs(model)}
    found = next(_unbounded(model.graph, from_images), None)
    if found is not None:
        raise ModelError(
            f"{name} has a {found.op_type} ({found.name or found.output[0]}) whose size or count "
            "depends on what the image shows, so that an image may take any time and memory. "
            "Export the network with fixed sizes and without such loops."
        )


def _unbounded(graph: onnx.GraphProto, from_images: set[str]) -> Iterator[onnx.NodeProto]:
    """The nodes with such a size; adds to the names of what is computed from images."""
    for node in graph.node:
        sizes = [node.input[i] for i in _SIZES.get(node.op_type, ()) if i < len(node.input)]
        if not from_images.isdisjoint(sizes):
            yield node
        depends = not from_images.isdisjoint(node.input)
        for body in bodies(node):
            yield from _unbounded_in_body(body, from_images, depends=depends)
            if node.op_type == "Loop" and body.output[_GOES_ON].name in from_images:
                yield node
            depends |= _gives_any(body, from_images)
        if depends and node.op_type not in _OF_SHAPES:
            from_images |= set(node.output)


def _unbounded_in_body(
    body: onnx.GraphProto, from_images: set[str], *, depends: bool
) -> Iterator[onnx.NodeProto]:
    if not depends:
        yield from _unbounded(body, from_images)
    # What one round of a loop computes from an image goes into the next one.
    if depends or _gives_any(body, from_images):
        from_images |= {value.name for value in body.input}
        yield from _unbounded(body, from_images)


def _gives_any(body: onnx.GraphProto, from_images: set[str]) -> bool:
    return not from_images.isdisjoint(value.name for value in body.output)
