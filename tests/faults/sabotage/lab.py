"""A trained network of three kinds of discs, and its bundle."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.support.networks.discs import CLASSES, draw_disc


def write_discs(folder: Path, count: int, first_seed: int, *, by_class: bool) -> None:
    for number in range(count):
        name = CLASSES[number % len(CLASSES)]
        path = folder / (name if by_class else "") / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = cv2.cvtColor(draw_disc(name, first_seed + number), cv2.COLOR_RGB2BGR)
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def only_error(capsys: pytest.CaptureFixture[str]) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


def last_constant(model: onnx.ModelProto, ending: str) -> onnx.TensorProto | None:
    return next((t for t in reversed(model.graph.initializer) if t.name.endswith(ending)), None)


def scale(model: onnx.ModelProto, ending: str, largest: float) -> None:
    """Multiply the last constant whose name ends so by 0 to `largest`, channel by channel."""
    tensor = last_constant(model, ending)
    if tensor is not None:
        values = numpy_helper.to_array(tensor)
        factors = np.linspace(0, largest, values.shape[0]).reshape(-1, *[1] * (values.ndim - 1))
        tensor.CopyFrom(
            numpy_helper.from_array((values * factors).astype(values.dtype), tensor.name)
        )


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 4
    path.write_bytes(content)
