"""ONNX Runtime as it comes, and its execution providers for other hardware and libraries."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Final

import onnxruntime as ort

from edge.backends.names import ONNXRUNTIME
from edge.backends.onnx import OnnxSession
from edge.bench.against.contender import Contender, contender_of
from edge.bundle import Bundle
from edge.errors import BackendError

_CPU: Final = "CPUExecutionProvider"
_QUIET: Final = 3


@dataclass(frozen=True, slots=True)
class _Provider:
    """An execution provider, the package that has it, and its options."""

    name: str
    package: str
    options: dict[str, Any] = field(default_factory=dict)


_PROVIDERS: Final = {
    "onnxruntime-openvino": _Provider("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "onnxruntime-cuda": _Provider("CUDAExecutionProvider", "onnxruntime-gpu"),
    "onnxruntime-tensorrt": _Provider(
        "TensorrtExecutionProvider", "onnxruntime-gpu", {"trt_fp16_enable": True}
    ),
}


def open_default(subject: str, bundle: Bundle, _threads: int) -> Contender:
    """FP32 with ONNX Runtime's own settings: all cores, which spin while they wait."""
    cores = len(os.sched_getaffinity(0))
    session = ort.InferenceSession(_fp32(bundle)[1], providers=[_CPU])
    return _contender(subject, bundle, cores, session, "its own settings")


def open_with_provider(subject: str, bundle: Bundle, threads: int) -> Contender:
    """FP32 by another execution provider; TensorRT's computes it in FP16.

    Raises:
        BackendError: the installed ONNX Runtime lacks the provider, or it does not start here.
    """
    wanted = _PROVIDERS[subject]
    held = ort.get_available_providers()
    if wanted.name not in held:
        raise BackendError(
            f"this ONNX Runtime {ort.__version__} has {', '.join(held)}, not {wanted.name}. "
            f"pip install {wanted.package}, in an environment without onnxruntime"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _QUIET
    session = ort.InferenceSession(
        _fp32(bundle)[1], options, providers=[(wanted.name, wanted.options)]
    )
    # ONNX Runtime runs the graph on the CPU where a provider does not start, and raises nothing.
    used = session.get_providers()
    if used[0] != wanted.name:
        raise BackendError(f"{wanted.name} does not start here; ONNX Runtime chose {used[0]}.")
    return _contender(subject, bundle, threads, session, wanted.name)


def _fp32(bundle: Bundle) -> tuple[str, bytes]:
    path = bundle.model(ONNXRUNTIME, "fp32").path
    return path, bundle.read(path)


def _contender(
    subject: str, bundle: Bundle, threads: int, session: ort.InferenceSession, how: str
) -> Contender:
    opened = OnnxSession(session, "fp32", _fp32(bundle)[0])
    version = f"ONNX Runtime {ort.__version__}, {how}"
    return contender_of(subject, version, threads, bundle, opened)
