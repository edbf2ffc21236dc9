"""Brings any source model to one form of FP32 ONNX: uint8 (batch, h, w, 3) in, logits out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import onnx
import onnxruntime as ort
from onnx import helper

from converters.export.normalisation import BATCH, NORMALISED, prepend_normalisation
from converters.layers.shapes import shapes_of_one_image
from converters.loading.checkpoint import SourceModel
from converters.loading.samples import normalise
from converters.onnx_graph.editing import copy_of
from converters.onnx_graph.lookup import Constants, array, attribute, constants, graph_inputs
from converters.onnx_graph.sessions import open_session, session_options
from edge.preprocess import InputSpec

__all__ = ["OUTPUT_NAME", "fold", "normalise", "pool_spatial_means", "source_to_onnx"]

OUTPUT_NAME: Final = "logits"
# Batch, channels, height and width. In tensors of other ranks axes 2 and 3 are not the image's.
_MAP_RANK: Final = 4


def source_to_onnx(source: SourceModel, spec: InputSpec) -> onnx.ModelProto:
    """The source as FP32 ONNX, with the normalisation in front and constants folded."""
    core = copy_of(source.graph)
    _rename_ends(core)
    prepend_normalisation(core, spec)
    _name_nodes(core)
    pool_spatial_means(core)
    core.producer_name, core.producer_version, core.doc_string = "microscope-edge", "", ""
    onnx.checker.check_model(core)
    return fold(onnx.shape_inference.infer_shapes(core))


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants, batch norms and pads with ONNX Runtime's basic optimisations.

    ONNX Runtime fuses these when it loads a graph. They must be fused before calibration, so that
    ranges are measured for the tensors that exist at run time.
    """
    options = session_options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory(prefix="edge-convert-") as folder:
        path = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(path)
        open_session(model, options)
        folded = onnx.load(path)
    _name_nodes(folded)
    return onnx.shape_inference.infer_shapes(folded)


def _name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a unique name. ONNX does not require names, but layers are known by them."""
    seen: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_of_{node.output[0] or number}"
        seen.add(node.name)


def _rename_ends(model: onnx.ModelProto) -> None:
    """Rename the float input (batch, 3, h, w) and the output to the names used here."""
    (image,) = graph_inputs(model)
    _rename(model, image.name, NORMALISED)
    _rename(model, model.graph.output[0].name, OUTPUT_NAME)
    _make_batch_dynamic(model)


def _make_batch_dynamic(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = BATCH
    # Shapes that were inferred for a fixed batch are wrong now.
    del model.graph.value_info[:]


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    if old == new:
        return
    for node in model.graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name == old:
                    names[position] = new
    for value in (*model.graph.input, *model.graph.output):
        if value.name == old:
            value.name = new


def pool_spatial_means(model: onnx.ModelProto) -> None:
    """Rewrite ReduceMean over height and width to GlobalAveragePool.

    In an INT8 graph ONNX Runtime runs ReduceMean in float, with a conversion before and after it.

    Args:
        model: takes uint8 images.
    """
    known = constants(model)
    means = [node for node in model.graph.node if node.op_type == "ReduceMean"]
    shapes = shapes_of_one_image(model, {node.input[0] for node in means})
    for node in means:
        if _reduces_space(node, len(shapes.get(node.input[0], ())), known):
            _replace_mean(model, node)


def _reduces_space(node: onnx.NodeProto, rank: int, known: Constants) -> bool:
    axes = attribute(node, "axes")
    if axes is None and len(node.input) > 1:
        axes = array(known, node.input[1])
    return axes is not None and rank == _MAP_RANK and sorted(int(a) % rank for a in axes) == [2, 3]


def _replace_mean(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    keeps_dimensions = attribute(node, "keepdims", 1)
    source, result = node.input[0], node.output[0]
    pooled = result if keeps_dimensions else f"{result}_pooled"
    position = list(model.graph.node).index(node)
    model.graph.node.remove(node)
    pool = helper.make_node("GlobalAveragePool", [source], [pooled], name=f"{result}_pool")
    model.graph.node.insert(position, pool)
    if not keeps_dimensions:
        flat = helper.make_node("Flatten", [pooled], [result], name=f"{result}_flatten", axis=1)
        model.graph.node.insert(position + 1, flat)
