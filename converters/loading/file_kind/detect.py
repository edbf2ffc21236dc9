"""Detects the kind of a model file from its first bytes and its ZIP directory."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from converters.loading.sandbox.messages import SourceKind
from converters.model_files.other_files import START_BYTES, known_archive, known_start
from edge.errors import ModelError

_SAVE_AS: Final = (
    "Give a state dict, a training checkpoint, TorchScript, .pt2, safetensors or ONNX file."
)
MAX_UNPACKED_BYTES: Final = 4 * 1024**3
MAX_ENTRIES: Final = 100_000
# torch stores tensors uncompressed. Only TorchScript's sources are compressed, less than this.
_MAX_RATIO: Final = 100
_SMALL_BYTES: Final = 1024**2
# A file of weights is never shorter.
_SMALLEST_BYTES: Final = 64
# A safetensors file starts with the length of its JSON header; this is the limit of its reader.
_MAX_HEADER_BYTES: Final = 100_000_000


def detect_kind(path: Path, name: str) -> SourceKind:
    """The kind of a file; any pickle counts as a state dict until it is read.

    Raises:
        ModelError: an unknown kind, or a damaged or suspicious ZIP file.
    """
    with path.open("rb") as file:
        start = file.read(START_BYTES)
        if start.startswith(b"PK\x03\x04"):
            return _kind_of_zip(file, name)
        if len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5:
            return SourceKind.STATE_DICT
        if _is_safetensors(start):
            return SourceKind.SAFETENSORS
        if _may_be_onnx(start):
            return SourceKind.ONNX
    known = known_start(start)
    if known is not None:
        raise ModelError(f"{name} {known}")
    if len(start) < _SMALLEST_BYTES:
        raise ModelError(
            f"{name} has {len(start)} bytes, a trained model is needed; it was cut off. "
            "Copy it again."
        )
    raise ModelError(
        f"{name} is neither a torch file nor ONNX (it starts with {start[:8].hex()}). {_SAVE_AS}"
    )


def _may_be_onnx(start: bytes) -> bool:
    """Whether these may be the first bytes of ONNX's ModelProto; the parser decides later.

    Exporters write field 1 first (ir_version, a small number). Others may begin with a text (fields
    2 to 4 and 6), of which the length and the first characters follow.
    """
    if len(start) < 2:
        return False
    if start[0] == 0x08:
        return 0 < start[1] < 128
    return start[0] in (0x12, 0x1A, 0x22, 0x32) and start[2 : 2 + min(start[1], 8)].isascii()


def _is_safetensors(start: bytes) -> bool:
    header_bytes = int.from_bytes(start[:8], "little")
    return start[8:9] == b"{" and 2 <= header_bytes <= _MAX_HEADER_BYTES


def _kind_of_zip(file: BinaryIO, name: str) -> SourceKind:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_entries(entries, file.seek(0, 2), name)
            # torch.load does not verify checksums, so flipped bits in weights would go unnoticed.
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise ModelError(
            f"{name} is a truncated or damaged torch file ({error}). Copy it again."
        ) from error
    if damaged is not None:
        raise ModelError(
            f"{name} is a damaged torch file (the checksum of {damaged[:80]} differs). "
            "Copy it again."
        )
    # All entries are in one folder, which is named after the file when it was saved.
    inner = {entry.filename.partition("/")[2] for entry in entries}
    _refuse_compiled_code(inner, name)
    if "models/model.json" in inner:
        return SourceKind.EXPORTED_PROGRAM
    if "constants.pkl" in inner:
        return SourceKind.TORCHSCRIPT
    if "data.pkl" in inner:
        return SourceKind.STATE_DICT
    if any(entry.filename == "serialized_exported_program.json" for entry in entries):
        raise ModelError(
            f"{name} is a .pt2 file of torch 2.7 or older. Export it again with torch 2.8 or newer."
        )
    known = known_archive(inner | {entry.filename for entry in entries})
    raise ModelError(f"{name} {known or f'is a ZIP file without torch data. {_SAVE_AS}'}")


def _check_entries(entries: list[zipfile.ZipInfo], file_bytes: int, name: str) -> None:
    unpacked_bytes = sum(entry.file_size for entry in entries)
    packed_bytes = sum(entry.compress_size for entry in entries)
    if len(entries) > MAX_ENTRIES or unpacked_bytes > MAX_UNPACKED_BYTES:
        raise ModelError(
            f"{name} declares {len(entries)} entries of {unpacked_bytes} bytes, at most "
            f"{MAX_ENTRIES} of {MAX_UNPACKED_BYTES} bytes are taken. Save the weights alone."
        )
    bomb = any(e.file_size > max(_SMALL_BYTES, _MAX_RATIO * e.compress_size) for e in entries)
    if bomb or packed_bytes > file_bytes:
        raise ModelError(
            f"{name} unpacks to {unpacked_bytes} bytes from {file_bytes}, which no torch file "
            "does. Check where it is from."
        )
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        raise ModelError(f"{name} holds two entries of one name. Check where it is from.")
    for entry in names:
        if entry.startswith("/") or "\\" in entry or ".." in PurePosixPath(entry).parts:
            raise ModelError(
                f"{name} holds an entry {entry[:80]!r} that leaves its folder, which no torch file "
                "does. Check where it is from."
            )


def _refuse_compiled_code(inner: set[str], name: str) -> None:
    compiled = sorted(e for e in inner if e.startswith("data/aotinductor/") or e.endswith(".so"))
    if compiled:
        raise ModelError(
            f"{name} holds compiled code ({compiled[0][:80]}), which would run as it is and only "
            "on one kind of machine. Save the exported program itself: torch.export.save."
        )
