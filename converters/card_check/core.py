"""Opens the network without the normalisation in front, for inputs of any size."""

from __future__ import annotations

import numpy as np
import onnx

from converters.card_check.evaluator import Infer
from converters.loading.graph_file.size_search import at_any_size
from converters.onnx_graph.lookup import graph_inputs
from converters.onnx_graph.sessions import open_session, session_options


def open_at_any_size(graph: onnx.ModelProto) -> Infer:
    """A function from normalised images, float32 (batch, 3, h, w) of any h and w, to logits.

    It raises one of RUNTIME_ERRORS at a size at which the network cannot run, for example because
    of a fully connected layer over all pixels or of position embeddings.
    """
    (image,) = graph_inputs(graph)
    # Failures are expected here, so ONNX Runtime must not log them.
    options = session_options(is_silent=True)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = open_session(at_any_size(graph), options)
    return lambda images: np.asarray(session.run(None, {image.name: images})[0], np.float32)
