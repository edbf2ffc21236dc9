"""Refuses models that are already quantized: the original float model is needed.

Their weights have been rounded, so another quantization would add a second error.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import IO, Final

import onnx
from onnx import TensorProto

from converters.loading.sandbox.messages import SourceKind
from edge.errors import ModelError

# QuantizeLinear, QLinearConv, MatMulInteger, DynamicQuantizeMatMul, MatMulNBits, QGemm, ...
_OPERATOR: Final = re.compile(
    r"\w*[Qq]uantize\w*|QLinear\w+|(MatMul|Conv)Integer\w*|MatMul\w*(NBits|BnB4)|FakeQuant\w*"
    r"|Q(Gemm|Attention|MoE|OrderedMatMul)|GatherBlockQuantized"
)
_ALWAYS: Final = re.compile(r"FLOAT[48]\w*|U?INT[24]")
_BYTES: Final = ("INT8", "UINT8")
# Smaller tensors of bytes are indices or flags.
_MANY: Final = 32
# Quantized operators in the sources of TorchScript and in the graph of a .pt2 file.
_TORCH: Final = re.compile(rb"ops\.quantized\w*\.\w+|quantized_decomposed\.\w+|torchao\.\w+")
# Names in pickles of quantized tensors, and of torch's quantized layers.
_TENSORS: Final = re.compile(r"torchao\.|torch\._utils\._rebuild_q|torch\.(Q\w+Storage|qu?int\d)")
_LAYERS: Final = re.compile(
    r"torch\.ao\.(nn|quantization)\.|torch\.(nn\.)?(quantized|quantization|qat|intrinsic)\."
)
# In a .pt2 file, torchao's tensors are separate pickles.
_PICKLED_WEIGHT: Final = re.compile(r"data/(weights|constants)/\w+")
_TORCHAO: Final = re.compile(rb"torchao\.[\w.]+")
_MOST_BYTES: Final = 64 * 1024**2


def already_quantized(name: str, what: str) -> ModelError:
    """The error for a quantized model; `what` is the evidence."""
    return ModelError(
        f"{name} is quantized already (it has {what}); the graphs of every target are made from "
        "float weights. Give the float model that it was made from."
    )


def quantized_name(names: Sequence[str]) -> str | None:
    """The first of a pickle's names that means quantized tensors, or else quantized layers."""
    layers = (name for name in names if _LAYERS.match(name))
    return quantized_tensor_name(names) or next(layers, None)


def quantized_tensor_name(names: Iterable[str]) -> str | None:
    """The first of a pickle's names that means quantized tensors."""
    return next((name for name in names if _TENSORS.match(name)), None)


def refuse_quantized_graph(
    nodes: Iterable[onnx.NodeProto], graph: onnx.GraphProto, name: str
) -> None:
    """Refuse an ONNX graph with quantized operators or weights.

    Args:
        nodes: all nodes of the graph, including those of subgraphs.

    Raises:
        ModelError: it has one.
    """
    operators = sorted({node.op_type for node in nodes if _OPERATOR.fullmatch(node.op_type)})
    found = operators or [f"weights in {kind}" for kind in _weight_types(graph.initializer)]
    if found:
        raise already_quantized(name, ", ".join(found[:4]))


def refuse_quantized_torch(path: Path, kind: SourceKind, name: str) -> None:
    """Refuse TorchScript and .pt2 that call torch's quantized operators.

    Raises:
        ModelError: it does.
    """
    if kind not in (SourceKind.TORCHSCRIPT, SourceKind.EXPORTED_PROGRAM):
        return
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            inner = entry.filename.partition("/")[2]
            with archive.open(entry) as file:
                found = _quantized_in(inner, file)
            if found:
                raise already_quantized(name, found[0].decode())


def _quantized_in(entry: str, file: IO[bytes]) -> re.Match[bytes] | None:
    if entry.startswith("code/") or entry == "models/model.json":
        return _TORCH.search(file.read(_MOST_BYTES))
    if _PICKLED_WEIGHT.fullmatch(entry) and file.read(2) == b"PK":
        return _TORCHAO.search(file.read(_MOST_BYTES))
    return None


def _weight_types(tensors: Iterable[TensorProto]) -> Iterator[str]:
    for tensor in tensors:
        kind = TensorProto.DataType.Name(tensor.data_type)
        is_table = kind in _BYTES and len(tensor.dims) > 1 and prod(tensor.dims) >= _MANY
        if is_table or _ALWAYS.fullmatch(kind):
            yield kind
