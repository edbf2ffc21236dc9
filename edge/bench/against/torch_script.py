"""What a laboratory starts from: a script with Pillow and PyTorch, eager or compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.backends.names import ONNXRUNTIME
from edge.bench.against.contender import Contender, LabelImage
from edge.bench.against.onnx_nodes import read_nodes
from edge.bench.against.packages import needs
from edge.bundle import Bundle
from edge.errors import BackendError
from edge.preprocess import InputSpec
from edge.session import FEATURES, Inferred
from edge.text.counted import counted

_MAX_BATCH: Final = 64
# Pillow's filters that give what OpenCV's interpolations give when an image becomes smaller.
# Its bilinear filter averages, where OpenCV's takes four neighbours.
_FILTERS: Final = {"area": "BOX", "linear": "BILINEAR", "cubic": "BICUBIC", "nearest": "NEAREST"}


class TorchSession:
    """A module in PyTorch, on the CPU or a GPU."""

    backend = "torch"
    max_batch = _MAX_BATCH
    precision = "fp32"

    def __init__(
        self, torch: Any, run: Callable[[Any], tuple[Any, ...]], device: str, outputs: list[str]
    ) -> None:
        self.graph = ""
        self._torch = torch
        self._run = run
        self._device = device
        self._features = outputs.index(FEATURES) if FEATURES in outputs else None

    def infer(self, images: NDArray[np.uint8]) -> Inferred:
        """Logits and features of uint8 images (batch, height, width, 3)."""
        with self._torch.inference_mode():
            found = self._run(self._torch.from_numpy(images).to(self._device))
            logits = found[0].cpu().numpy()
            features = None if self._features is None else found[self._features].cpu().numpy()
        return Inferred(logits, features)

    def close(self) -> None:
        """Free the module."""
        self._run = _closed


def open_torch(subject: str, bundle: Bundle, threads: int) -> Contender:
    """The script, on the CPU or a GPU; compiling takes a minute, at the first image.

    Raises:
        BackendError: PyTorch, onnx or Pillow is missing, or the graph cannot be translated.
    """
    with needs("torch"):
        import torch

        from edge.bench.against.torch_module import count_of_norms, to_module
    with needs("pillow"):
        import PIL
        from PIL import Image

    device = "cuda" if subject.endswith("cuda") else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise BackendError(f"torch {torch.__version__} finds no CUDA device")
    torch.set_num_threads(threads)
    path = bundle.model(ONNXRUNTIME, "fp32").path
    nodes = read_nodes(bundle.read(path))
    module = to_module(nodes).to(device)
    run = torch.compile(module) if "compile" in subject else module
    session = TorchSession(torch, run, device, list(nodes.outputs))
    norms = counted(count_of_norms(module), "batch normalisation")
    version = f"torch {torch.__version__}, Pillow {PIL.__version__}, {norms}"
    label = _script(Image, session, bundle.classes, bundle.input)
    return Contender(subject, version, threads, session, label)


def _script(
    pillow: Any, session: TorchSession, classes: tuple[str, ...], spec: InputSpec
) -> LabelImage:
    """The way of one image through the script: no strict decoding, no checks."""
    size = (spec.width, spec.height)
    resampling = pillow.Resampling[_FILTERS[spec.resize]]

    def label(path: Path) -> str | None:
        with pillow.open(path) as file:
            image = file.convert("RGB")
        if spec.crop != 1.0:
            image = image.crop(_centre(image.size, spec.crop))
        # A copy: PyTorch warns of arrays that may not be written.
        pixels = np.array(image.resize(size, resampling))
        if spec.channels == "bgr":
            pixels = pixels[..., ::-1]
        logits = session.infer(np.ascontiguousarray(pixels)[np.newaxis]).logits[0]
        return classes[int(logits.argmax())]

    return label


def _centre(size: tuple[int, int], fraction: float) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of `edge.preprocess`'s centred crop."""
    (width, height), (inner, upright) = size, (max(1, round(side * fraction)) for side in size)
    left, top = (width - inner) // 2, (height - upright) // 2
    return left, top, left + inner, top + upright


def _closed(_images: Any) -> tuple[Any, ...]:
    raise BackendError("the PyTorch session is closed. Open it again.")
