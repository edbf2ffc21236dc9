"""A file's kind is told by its first bytes, and what is no model is called what it is."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from converters.loading.file_kind.detect import detect_kind
from converters.loading.sandbox.messages import SourceKind
from edge.errors import ModelError
from tests.support.networks.onnx_lab import network, to_onnx


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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n\n<!DOCTYPE html>", "is a web page"),
        (b"<HTML><head>", "is a web page"),
        (b"\xef\xbb\xbf<!doctype html>", "is a web page"),
        (b"404: Not Found", r"is a text \('404: Not Found'\).*Download the file itself"),
        (b"<Error><Code>AccessDenied</Code></Error>", "is a text .*server's answer"),
        ("Zugriff für niemanden erlaubt\n".encode() * 30, "is a text .*server's answer"),
        (bytes(257) + b"ustar" + bytes(600), "is a tar archive. Unpack it"),
        (bytes(5000), "begins only with zeros"),
        (b"PK\x03", "has 3 bytes.*Copy it again"),
        (b"\x7fELF" + bytes(range(200)), "is a compiled library"),
        (bytes(range(100, 250)), "is neither a torch file nor ONNX"),
    ],
)
def test_file_that_is_no_model_is_called_what_it_is(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ModelError, match=f"m.pt {said}"):
        detect_kind(tmp_path / "m", "m.pt")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("run/model.pth.tar", "holds model.pth.tar"),
        ("a/b/data.pkl", "an unpacked torch file"),
        ("run/pytorch_model.bin", "holds pytorch_model.bin"),
    ],
)
def test_archive_around_a_model_is_called_one(tmp_path: Path, entry: str, said: str) -> None:
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        archive.writestr(entry, b"x")
    with pytest.raises(ModelError, match=f"m.pt is an archive .*{said}"):
        detect_kind(tmp_path / "m", "m.pt")
