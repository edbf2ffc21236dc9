"""Opens all graphs of a bundle so that their features are those of their targets."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from converters.fp16.emulation import emulate_fp16
from converters.int8.graphs import FP16, GRAPHS
from converters.int8.target_session import open_as_target
from edge.backends.onnx import OnnxSession, open_onnx


def open_graphs(models: Mapping[str, onnx.ModelProto], first: str) -> dict[str, OnnxSession]:
    """A session for each graph, by model file; the one named `first` comes first.

    Args:
        models: the graphs by name, as in `converters.int8.graphs`.
    """
    names = [first, *(name for name in models if name != first)]
    return {GRAPHS[name].path: _open(name, models[name]) for name in names}


def _open(name: str, model: onnx.ModelProto) -> OnnxSession:
    kind = GRAPHS[name]
    if kind.placement is not None:
        return open_as_target(model, kind.placement)
    graph = emulate_fp16(model) if kind == FP16 else model
    return open_onnx(graph.SerializeToString(), kind.precision)
