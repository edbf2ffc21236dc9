"""Other tools' INT8 of the same FP32 graph, from the same calibration images, as they come.

OpenVINO and NNCF are needed by this comparison alone.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from edge.errors import ConfigError
from tests.networks.judging import Infer, logits_of

Images = NDArray[np.uint8]
PACKAGES: Final = ("openvino", "nncf")


def require_packages() -> None:
    """Check that the other quantizers can be had, before the long work.

    Raises:
        ConfigError: which is not installed.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)} not installed, and the comparison needs both tools: "
            f"pip install {' '.join(missing)}"
        )


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no types
    def __init__(self, images: Images) -> None:
        self._images: Iterator[Images] = iter(images)

    def get_next(self) -> dict[str, Images] | None:
        image = next(self._images, None)
        return None if image is None else {"images": image[None]}


def onnxruntime_default(fp32: bytes, images: Images) -> Infer:
    """`onnxruntime.quantization.quantize_static` as it comes."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(fp32)
        quantize_static(source, target, _Reader(images))
        return logits_of(target.read_bytes())


def nncf_onnx(fp32: bytes, images: Images, *, is_transformer: bool) -> Infer:
    """NNCF's post-training quantization of the ONNX graph, run by ONNX Runtime."""
    import nncf

    model = onnx.load_model_from_string(fp32)
    name = model.graph.input[0].name
    quantized = nncf.quantize(
        model,
        nncf.Dataset([{name: image[None]} for image in images]),
        subset_size=len(images),
        **_hint(is_transformer=is_transformer),
    )
    return logits_of(quantized.SerializeToString())


def openvino_int8(fp32: bytes, images: Images, *, is_transformer: bool) -> Infer:
    """NNCF's post-training quantization in OpenVINO, run by its CPU plug-in."""
    import nncf

    quantized = nncf.quantize(
        _read(fp32),
        nncf.Dataset([image[None] for image in images]),
        subset_size=len(images),
        **_hint(is_transformer=is_transformer),
    )
    return _compiled(quantized)


def openvino_fp32(fp32: bytes) -> Infer:
    return _compiled(_read(fp32))


def _hint(*, is_transformer: bool) -> dict[str, Any]:
    """What NNCF asks to be told of transformers."""
    import nncf

    return {"model_type": nncf.ModelType.TRANSFORMER} if is_transformer else {}


def _read(fp32: bytes) -> Any:
    import openvino

    return openvino.Core().read_model(fp32)


def _compiled(model: Any) -> Infer:
    """On one thread, in the precision of the graph: not in bfloat16, as where the CPU has it."""
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()

    def infer(images: Images) -> NDArray[np.float32]:
        return np.asarray(request.infer([images])[compiled.output(0)], np.float32)

    return infer
