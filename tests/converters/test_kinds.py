"""What a model file is, and what a file is that is none that is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.loading.border import SourceKind
from converters.loading.kinds import detect_kind
from edge.errors import ModelError
from tests.support.onnx_lab import network, to_onnx


def test_onnx_that_begins_with_its_producer_is_onnx(tmp_path: Path) -> None:
    model = to_onnx(network())
    producer = model.producer_name.encode()
    start = bytes([0x12, len(producer)]) + producer
    model.ClearField("producer_name")
    (tmp_path / "m").write_bytes(start + model.SerializeToString())
    assert detect_kind(tmp_path / "m", "m.onnx") is SourceKind.ONNX


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"\x89HDF\r\n\x1a\n", "m is an HDF5 file, as Keras writes .* tf2onnx"),
        (b"\x1c\x00\x00\x00TFL3", "m is a TensorFlow Lite model"),
        (b"\x08\x00\x00\x00ORTM", "m is in ONNX Runtime's own format. Give the ONNX file"),
        (b"ftrt\x00\x00", "m is a TensorRT plan"),
        (b"version https://git-lfs", "m is the pointer of Git LFS .* git lfs pull"),
        (b"\x1f\x8b\x08\x00", "m is compressed with gzip. Unpack it first"),
        (b"\x12\x03\xff\xfe\xfd", "neither a torch file nor ONNX"),
    ],
)
def test_file_of_another_kind_is_named(tmp_path: Path, start: bytes, said: str) -> None:
    (tmp_path / "m").write_bytes(start + bytes(64))
    with pytest.raises(ModelError, match=said):
        detect_kind(tmp_path / "m", "m")
