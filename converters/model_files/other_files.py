"""Recognises files that are not models by their first bytes, with advice for each."""

from __future__ import annotations

from typing import Final

# Includes the signature of a tar archive.
START_BYTES: Final = 512
MODEL_SUFFIXES: Final = (
    *(".pt", ".pth", ".pt2", ".ckpt", ".onnx", ".safetensors", ".bin", ".pkl", ".pth.tar"),
    ".torchscript",
)
_UNPACK: Final = "Unpack it and give the model in it"
_DOWNLOAD: Final = "Download the file itself"
_AS_ONNX: Final = "Export the network to ONNX"
# First bytes, what the file is, and advice.
_STARTS: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "Run git lfs pull"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes it", f"{_AS_ONNX} with tf2onnx"),
    (b"\x93NUMPY", "an array of numpy", "Give the model's file"),
    (b"\x1f\x8b", "a gzip file", _UNPACK),
    (b"BZh", "a bzip2 file", _UNPACK),
    (b"\xfd7zXZ", "an xz file", _UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd file", _UNPACK),
    (b"PK\x05\x06", "an empty ZIP archive", "Give the model's file"),
    (b"GGUF", "a GGUF file of a language model", "Give an image classifier"),
    (b"\x89PNG", "an image", "Give the model's file"),
    (b"\xff\xd8\xff", "an image", "Give the model's file"),
    (b"\x7fELF", "a compiled library", "Give the model that it was made of"),
    (b"ptrt", "a TensorRT engine", "Give the model that it was built from"),
    (b"ftrt", "a TensorRT engine", "Give the model that it was built from"),
)
# Formats with their name after a 4-byte offset.
_NAMED_AT_4: Final = {
    b"TFL3": f"a TensorFlow Lite model. {_AS_ONNX} with tf2onnx",
    b"ORTM": "a model in ONNX Runtime's own format. Give the ONNX file that it was made of",
}
# The start of a text, in lower case, after blanks and a byte order mark.
_TEXTS: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"<?xml", "an XML file, such as of OpenVINO", "Give the ONNX or torch file it was made of"),
    (b"<!", "a web page, saved in place of the file", _DOWNLOAD),
    (b"<h", "a web page, saved in place of the file", _DOWNLOAD),
    (b"{", "a JSON text", "Give the file of the weights beside it"),
)
_SHOWN_TEXT: Final = 40


def known_start(start: bytes) -> str | None:
    """What a file with this start is, and advice; None if not known.

    Args:
        start: the first `START_BYTES`, or all of a smaller file.
    """
    if start[4:8] in _NAMED_AT_4:
        return f"is {_NAMED_AT_4[start[4:8]]}."
    for sign, what, advice in _STARTS:
        if start.startswith(sign):
            return f"is {what}. {advice}."
    if start[257:262] == b"ustar":
        return f"is a tar archive. {_UNPACK}."
    if len(start) == START_BYTES and not any(start):
        return "begins only with zeros, as after an interrupted copy. Copy it again."
    return _known_text(start)


def _known_text(start: bytes) -> str | None:
    begin = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    for sign, what, advice in _TEXTS:
        if begin.lower().startswith(sign):
            return f"is {what}. {advice}."
    # A character of several bytes may be cut at the end.
    text = begin.decode("utf-8", "replace").rstrip("\ufffd")
    if not text or not all(c.isprintable() or c.isspace() for c in text) or "\ufffd" in text:
        return None
    said = " ".join(text.split())[:_SHOWN_TEXT]
    return f"is a text ({said!r}), such as a server's answer in place of the file. {_DOWNLOAD}."


def known_archive(entries: set[str]) -> str | None:
    """The same for a ZIP file without torch's entries, by the names of its entries."""
    names = {entry.rpartition("/")[2] for entry in entries}
    if "model.weights.h5" in names:
        return f"is a Keras model. {_AS_ONNX} with tf2onnx."
    if any(name.endswith(".npy") for name in names):
        return "holds arrays of numpy. Save model.state_dict() with torch.save."
    inner = sorted(name for name in names if name.endswith(MODEL_SUFFIXES) and name != "data.pkl")
    if inner:
        return f"is an archive that holds {inner[0][:80]}. Unpack it and give that file."
    if "data.pkl" in names:
        return "is an archive of an unpacked torch file. Give the file as torch.save wrote it."
    return None
