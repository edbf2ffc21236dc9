"""ONNX is told by its first bytes, whatever field its writer put first."""

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


def test_text_that_is_none_in_the_place_of_a_producer_is_no_onnx(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"\x12\x03\xff\xfe\xfd" + bytes(64))
    with pytest.raises(ModelError, match="neither a torch file nor ONNX"):
        detect_kind(tmp_path / "m", "m")
