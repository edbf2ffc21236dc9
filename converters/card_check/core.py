"""The network behind its normalisation, as it runs on float images."""

from __future__ import annotations

import numpy as np
import onnx

from converters.card_check.trial import Infer
from converters.loading.graph_file.size_search import at_any_size
from converters.onnx_graph.lookup import graph_inputs
from converters.onnx_graph.sessions import open_session, session_options


def open_at_any_size(graph: onnx.ModelProto) -> Infer:
    """A source's graph, for float32 (batch, 3, h, w) of its own and of other sizes, to logits.

    It raises for a size at which the network cannot run: a layer that reads all pixels, or position
    embeddings, have one size.
    """
    (image,) = graph_inputs(graph)
    # A size at which a network cannot run is no error here.
    options = session_options(is_silent=True)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = open_session(at_any_size(graph), options)
    return lambda images: np.asarray(session.run(None, {image.name: images})[0], np.float32)
