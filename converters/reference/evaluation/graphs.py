"""Opens each graph of a bundle so that it computes what its target would compute."""

from __future__ import annotations

from typing import Final

import onnx

from converters.fp16.emulation import emulate_fp16
from converters.int8.graphs import FP32, GRAPHS, INT8, GraphKind
from converters.int8.target_session import may_be_fused, open_as_target
from edge.backends.onnx import OnnxSession, open_onnx
from edge.bundle import Bundle
from edge.errors import ConfigError
from edge.golden import golden_labeller, open_labeller
from edge.labeller import Labeller
from edge.manifest import Artefact

REFERENCE: Final = FP32.name
ALL: Final = "all"


_DEFAULT: Final = (FP32.name, INT8.name)


def choose_graphs(bundle: Bundle, wanted: str | None) -> list[str]:
    """Names of the graphs to evaluate.

    Args:
        wanted: `all`, names separated by commas, or None for fp32 and int8.

    Raises:
        ConfigError: the bundle has no such graph; the message lists those that it has.
    """
    held = list(_held(bundle))
    if wanted is None:
        return [name for name in _DEFAULT if name in held]
    if wanted == ALL:
        return held
    names = list(dict.fromkeys(name.strip() for name in wanted.split(",")))
    for name in names:
        if name not in held:
            raise ConfigError(
                f"{bundle.root.name} holds no graph {name!r}; give {ALL} or some of "
                f"{', '.join(held)}."
            )
    return names


def open_graph(bundle: Bundle, name: str) -> Labeller:
    """A labeller on the CPU for one of the names from `choose_graphs`.

    Graphs for ONNX Runtime are first checked on the golden images. Graphs for TensorRT are not:
    here they are only emulated.

    Raises:
        BackendError: a golden image has other logits than during the conversion.
    """
    kind = GRAPHS[name]
    artefact = _held(bundle)[name]
    content = bundle.read(artefact.path)
    if kind.requires["backend"] == "onnxruntime":
        is_fused = kind.placement is None or may_be_fused(kind.placement)
        session = open_onnx(content, kind.precision, graph=artefact.path, optimise=is_fused)
        return open_labeller(bundle, session)
    session = _open_for_gpu(kind, onnx.load_model_from_string(content))
    # The labeller takes the temperature of this file.
    session.graph = artefact.path
    return golden_labeller(bundle, session)


def _open_for_gpu(kind: GraphKind, model: onnx.ModelProto) -> OnnxSession:
    """Open a graph for GPUs, with FP16's rounding emulated."""
    if kind.placement is not None:
        return open_as_target(model, kind.placement)
    return open_onnx(emulate_fp16(model).SerializeToString(), kind.precision)


def _held(bundle: Bundle) -> dict[str, Artefact]:
    """The bundle's file for each kind of graph; a file belongs to the first kind that fits."""
    held: dict[str, Artefact] = {}
    for kind in GRAPHS.values():
        left = (a for a in bundle.artefacts if a not in held.values())
        found = next((a for a in left if kind.may_be(a)), None)
        if found:
            held[kind.name] = found
    return held
