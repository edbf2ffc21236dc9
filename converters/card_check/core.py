"""The network behind its normalisation, as it runs on float images."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort

from converters.card_check.trial import Infer
from converters.loading.graph import graph_inputs
from converters.loading.size_search import at_any_size


def open_at_any_size(graph: onnx.ModelProto) -> Infer:
    """A source's graph, for float32 (batch, 3, h, w) of its own and of other sizes, to logits.

    It raises for a size at which the network cannot run: a layer that reads all pixels, or position
    embeddings, have one size.
    """
    (image,) = graph_inputs(graph)
    content = at_any_size(graph).SerializeToString()
    options = ort.SessionOptions()
    # A size at which a network cannot run is no error here.
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = ["CPUExecutionProvider"]
    session = ort.InferenceSession(content, options, providers=providers)
    return lambda images: np.asarray(session.run(None, {image.name: images})[0], np.float32)
