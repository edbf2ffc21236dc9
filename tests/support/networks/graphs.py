"""Small graphs of chosen operators, from the text form of ONNX: images in, logits out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from converters.onnx_graph.sessions import open_session, session_options

SIDE = 8
_HEAD = """
<ir_version: 8, opset_import: ["" : {opset}]>
g (uint8[batch, {side}, {side}, 3] images) => (float[batch, 4] logits) {{
    bytes = Transpose <perm = [0, 3, 1, 2]> (images)
    pixels = Cast <to = 1> (bytes)
    scaled = Mul (pixels, scale)
    f = Conv <pads = [1, 1, 1, 1]> (scaled, kernel)
    {body}
    pooled = GlobalAveragePool (y)
    logits = Flatten (pooled)
}}
"""


def graph(body: str, opset: int = 17, **constants: NDArray[np.generic]) -> onnx.ModelProto:
    """A network whose part between a convolution `f` (n, 4, 8, 8) and a pooling of `y` is given."""
    model = onnx.parser.parse_model(_HEAD.format(opset=opset, side=SIDE, body=body))
    rng = np.random.default_rng(0)
    held: dict[str, NDArray[np.generic]] = {
        "scale": np.asarray(1 / 255, np.float32),
        "kernel": rng.normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32),
        **constants,
    }
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(values), name) for name, values in held.items()
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def some_images(count: int = 4) -> NDArray[np.uint8]:
    """Noise, uint8 (count, 8, 8, 3)."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8)


def evaluated(model: onnx.ModelProto, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits as ONNX defines them: FP16 is rounded to, and overflows, after every operator."""
    with np.errstate(all="ignore"):
        # A graph of a bundle has features as its second output.
        logits, *_ = ReferenceEvaluator(model).run(None, {"images": images})
    return np.asarray(logits)


def operators_at_run_time(model: onnx.ModelProto, folder: Path) -> Counter[str]:
    """How often each operator is in the graph that ONNX Runtime makes of one when it opens it."""
    options = session_options()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    open_session(model, options)
    return Counter(node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node)
