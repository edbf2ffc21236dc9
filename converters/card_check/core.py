"""The network behind its normalisation, as it runs on float images."""

from __future__ import annotations

import numpy as np
import onnx

from converters.card_check.trial import Infer
from converters.loading.size_search import at_any_size
from converters.onnx_graph.lookup import graph_inputs
from converters.onnx_graph.sessions import open_session, session_options


def open_core(fp32: onnx.ModelProto) -> Infer:
    """The exported network behind its normalisation: float32 (batch, 3, h, w) to logits."""
    entry = _normalised_tensor(fp32)
    core = onnx.utils.Extractor(fp32).extract_model([entry], [fp32.graph.output[0].name])
    return _open(core, entry)


def open_at_any_size(graph: onnx.ModelProto) -> Infer:
    """A source's graph, for images of other sizes than its input declares.

    It raises for a size at which the network cannot run: a layer that reads all pixels, or position
    embeddings, have one size.
    """
    (image,) = graph_inputs(graph)
    return _open(at_any_size(graph), image.name)


def _open(model: onnx.ModelProto, entry: str) -> Infer:
    # A size at which a network cannot run is no error here.
    options = session_options(is_silent=True)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = open_session(model, options)
    return lambda images: np.asarray(session.run(None, {entry: images})[0], np.float32)


def _normalised_tensor(fp32: onnx.ModelProto) -> str:
    """The last tensor of the normalisation; a mean of 0 or a scale of 1 is folded away."""
    names = [n.output[0] for n in fp32.graph.node if n.name.startswith("normalise_")]
    return str(names[-1])
