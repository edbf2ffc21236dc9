"""Opens all graphs of a bundle so that their features are those of their targets."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from converters.int8.graphs import GRAPHS
from converters.int8.target_session import open_graph
from edge.backends.onnx import OnnxSession


def open_graphs(models: Mapping[str, onnx.ModelProto], first: str) -> dict[str, OnnxSession]:
    """A session for each graph, by model file; the one named `first` comes first.

    Args:
        models: the graphs by name, as in `converters.int8.graphs`.
    """
    names = [first, *(name for name in models if name != first)]
    return {GRAPHS[name].path: open_graph(GRAPHS[name], models[name]) for name in names}
