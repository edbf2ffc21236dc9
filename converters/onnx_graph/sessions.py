"""Opens ONNX Runtime sessions on the CPU for the converter's own measurements.

The sessions that a workstation runs are opened by `edge.backends.onnx`.
"""

from __future__ import annotations

import onnx
import onnxruntime as ort


def session_options(
    *, threads: int = 0, is_optimised: bool = True, is_silent: bool = False
) -> ort.SessionOptions:
    """Options for `open_session`, without ONNX Runtime's warnings.

    Args:
        threads: threads within one operator; 0 for ONNX Runtime's default. With one thread, sums
            have the same order on every machine.
        is_optimised: if False, every node runs as it is in the graph, without fusions.
        is_silent: do not log errors either; for callers that expect some.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4 if is_silent else 3
    if not is_optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def open_session(model: onnx.ModelProto, options: ort.SessionOptions) -> ort.InferenceSession:
    """A session for a graph with any inputs and outputs.

    Raises:
        Exception: one of `edge.backends.onnx.RUNTIME_ERRORS`; ONNX Runtime cannot run the graph.
    """
    providers = ["CPUExecutionProvider"]
    return ort.InferenceSession(model.SerializeToString(), options, providers=providers)
