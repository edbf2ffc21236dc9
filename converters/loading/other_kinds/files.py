"""Files of other kinds, told by their first bytes, and what to do with each."""

from __future__ import annotations

from typing import Final

_AS_ONNX: Final = "Export the network to ONNX"
# How a file starts, what it is, and what to do.
_STARTS: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "Run git lfs pull"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes it", f"{_AS_ONNX} with tf2onnx"),
    (b"\x93NUMPY", "an array of numpy", "Give the model's file"),
    (b"\x1f\x8b", "a gzip file", "Unpack it and give the model in it"),
    (b"BZh", "a bzip2 file", "Unpack it and give the model in it"),
    (b"\xfd7zXZ", "an xz file", "Unpack it and give the model in it"),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it and give the model in it"),
    (b"Rar!", "a RAR archive", "Unpack it and give the model in it"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "Unpack it and give the model in it"),
    (b"GGUF", "a GGUF file of a language model", "Give an image classifier"),
    (b"<!DOCTYPE", "a web page, saved in place of the file", "Download the file itself"),
    (b"<!doctype", "a web page, saved in place of the file", "Download the file itself"),
    (b"<html", "a web page, saved in place of the file", "Download the file itself"),
    (b"<?xml", "an XML file, such as of OpenVINO", "Give the ONNX or torch file it was made of"),
    (b"{", "a JSON text", "Give the file of the weights beside it"),
    (b"ptrt", "a TensorRT engine", "Give the model that it was built from"),
    (b"ftrt", "a TensorRT engine", "Give the model that it was built from"),
)
# Some formats have their name behind the offset of their first table.
_NAMED_AT_4: Final = {
    b"TFL3": f"a TensorFlow Lite model. {_AS_ONNX} with tf2onnx",
    b"ORTM": "a model in ONNX Runtime's own format. Give the ONNX file that it was made of",
}
_MODELS: Final = (".pt", ".pth", ".ckpt", ".onnx", ".safetensors")


def known_start(start: bytes) -> str | None:
    """What a file that starts with these 32 bytes is and what to do; None where it is not known."""
    if start[4:8] in _NAMED_AT_4:
        return f"is {_NAMED_AT_4[start[4:8]]}."
    for sign, what, advice in _STARTS:
        if start.startswith(sign):
            return f"is {what}. {advice}."
    return None


def known_archive(entries: set[str]) -> str | None:
    """The same for a ZIP file without torch's entries, by the names in it."""
    names = {entry.rpartition("/")[2] for entry in entries}
    if "model.weights.h5" in names:
        return f"is a Keras model. {_AS_ONNX} with tf2onnx."
    if any(name.endswith(".npy") for name in names):
        return "holds arrays of numpy. Save model.state_dict() with torch.save."
    inner = sorted(name for name in names if name.endswith(_MODELS))
    if inner:
        return f"is an archive that holds {inner[0][:80]}. Unpack it and give that file."
    return None
