"""ONNX Runtime as it comes, and its execution providers for other hardware and libraries."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Final

import onnxruntime as ort

from edge.backends.names import ONNXRUNTIME
from edge.backends.onnx import RUNTIME_ERRORS, OnnxSession
from edge.bench.against.contender import Contender, contender_of
from edge.bundle import Bundle
from edge.errors import BackendError, first_line

_CPU: Final = "CPUExecutionProvider"
# ONNX Runtime's severities. A provider that does not start would fill the terminal.
_WARNING, _FATAL = 2, 4


@dataclass(frozen=True, slots=True)
class _Provider:
    """An execution provider, the package that has it, and its options."""

    name: str
    package: str
    options: dict[str, Any] = field(default_factory=dict)
    takes_threads: bool = False


_PROVIDERS: Final = {
    "onnxruntime-openvino": _Provider(
        "OpenVINOExecutionProvider", "onnxruntime-openvino", takes_threads=True
    ),
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
    session = _start(wanted, _fp32(bundle)[1], threads)
    # For some providers that do not start ONNX Runtime raises nothing, and takes the CPU.
    used = session.get_providers()
    if used[0] != wanted.name:
        raise BackendError(
            f"{wanted.name} does not start here, and ONNX Runtime chose {used[0]}. Check its "
            f"libraries and the driver: {wanted.package} needs those of its own version"
        )
    return _contender(subject, bundle, threads, session, wanted.name)


def _start(wanted: _Provider, graph: bytes, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    given = {**wanted.options}
    if wanted.takes_threads:
        given["num_of_threads"] = str(threads)
    ort.set_default_logger_severity(_FATAL)
    try:
        return ort.InferenceSession(
            graph, options, providers=[(wanted.name, given)], enable_fallback=0
        )
    except RUNTIME_ERRORS as error:
        raise BackendError(f"{wanted.name} does not start here: {first_line(error)}") from error
    finally:
        ort.set_default_logger_severity(_WARNING)


def _fp32(bundle: Bundle) -> tuple[str, bytes]:
    path = bundle.model(ONNXRUNTIME, "fp32").path
    return path, bundle.read(path)


def _contender(
    subject: str, bundle: Bundle, threads: int, session: ort.InferenceSession, how: str
) -> Contender:
    opened = OnnxSession(session, "fp32", _fp32(bundle)[0])
    version = f"ONNX Runtime {ort.__version__}, {how}"
    return contender_of(subject, version, threads, bundle, opened)
