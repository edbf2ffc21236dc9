"""Finds input sizes at which a network runs, if it does not run at the card's.

A fully connected layer over all pixels, or a position embedding, works only at the size of the
training. Its error is hard to understand; the sizes that work are helpful.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import onnx

from converters.onnx_graph.editing import copy_of
from converters.onnx_graph.lookup import graph_inputs

# Sides that trainings commonly use, in pixels.
SIDES: Final = (
    *(28, 32, 40, 48, 56, 64, 72, 80, 96, 100, 112, 120, 128, 144, 150, 160, 176, 192, 200, 224),
    *(240, 256, 288, 299, 300, 320, 360, 380, 384, 448, 512),
)
# Enough for all sizes: a network fails within milliseconds at a wrong one.
_SEARCH_S: Final = 60.0
_SHOWN: Final = 3


def running_sizes(run: Callable[[int, int], object], height: int, width: int) -> str:
    """The common sizes at which a network runs, and advice, for an error message.

    Args:
        run: runs it on an image of a height and width, or raises.
    """
    end = time.monotonic() + _SEARCH_S
    # dict.fromkeys removes repeated pairs.
    for sizes in (((side, side) for side in SIDES), dict.fromkeys(_oblong(height, width))):
        found: list[str] = []
        for size in sizes:
            if len(found) == _SHOWN or time.monotonic() > end:
                break
            if _runs(run, size):
                found.append(f"{size[0]}x{size[1]}")
        if found:
            return (
                f"Of the usual sizes it runs on {', '.join(found)} (height x width). Correct "
                "input.height and input.width in the card; the training script says the size"
            )
    return "Correct the card's input to what the network was trained on"


def at_any_size(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph whose input (batch, 3, height, width) has only dynamic sizes."""
    free = copy_of(model)
    (image,) = graph_inputs(free)
    for axis, name in ((0, "batch"), (2, "height"), (3, "width")):
        image.type.tensor_type.shape.dim[axis].dim_param = name
    # Shapes that were inferred for one size are wrong for others.
    del free.graph.value_info[:]
    for output in free.graph.output:
        output.type.tensor_type.ClearField("shape")
    return free


def _oblong(height: int, width: int) -> Iterator[tuple[int, int]]:
    """The card's sides swapped, then each with another side, then all pairs."""
    yield width, height
    for side in SIDES:
        yield from ((height, side), (side, width))
    yield from ((h, w) for h in SIDES for w in SIDES if h != w)


def _runs(run: Callable[[int, int], object], size: tuple[int, int]) -> bool:
    try:
        run(*size)
    except Exception:  # noqa: BLE001  # an untrusted network may raise anything
        return False
    return True
