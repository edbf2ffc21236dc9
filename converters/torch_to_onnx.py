"""Any source model to one form of FP32 ONNX: uint8 (batch, h, w, 3) in, logits out.

Normalisation is part of the graph, so that every back end takes the same uint8 array.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from converters.checkpoint import SourceModel
from edge.errors import ModelError
from edge.preprocess import InputSpec

# The oldest opset with per-channel DequantizeLinear in every reader used here and with FP16
# scales (19); TensorRT 8.6, on older Jetsons, reads up to 17, INT8 graphs need no more.
OPSET: Final = 17
INPUT_NAME: Final = "images"
OUTPUT_NAME: Final = "logits"
BATCH: Final = "batch"
# The uint8 image with channels first, and the network's own normalised float input.
CHANNELS_FIRST: Final = "channels_first"
NORMALISED: Final = "normalised"


def source_to_onnx(source: SourceModel, spec: InputSpec) -> onnx.ModelProto:
    """The source as folded FP32 ONNX with the normalisation in front.

    Raises:
        ModelError: it cannot be exported, or does not take images of the card's size.
    """
    if isinstance(source.network, onnx.ModelProto):
        core = _at_opset(source.network, source)
    else:
        core = _export(source.network, source, spec)
    _rename_ends(core, spec, source)
    pool_spatial_means(core)
    _prepend_normalisation(core, spec)
    core.producer_name, core.producer_version, core.doc_string = "microscope-edge", "", ""
    onnx.checker.check_model(core)
    return fold(onnx.shape_inference.infer_shapes(core))


def normalise(images: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """What the graph's first nodes compute: float32 (batch, 3, h, w) from uint8 images."""
    scaled = images.astype(np.float32) / np.float32(255)
    normalised = (scaled - np.asarray(spec.mean, np.float32)) / np.asarray(spec.std, np.float32)
    return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2), np.float32)


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants, batch norms and pads with ONNX Runtime's basic optimisations.

    What it fuses at load must be fused before calibration, or ranges would be taken of tensors
    that do not exist at run time.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory(prefix="edge-convert-") as folder:
        path = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(path)
        providers = ["CPUExecutionProvider"]
        ort.InferenceSession(model.SerializeToString(), options, providers=providers)
        folded = onnx.load(path)
    return onnx.shape_inference.infer_shapes(folded)


def _export(module: torch.nn.Module, source: SourceModel, spec: InputSpec) -> onnx.ModelProto:
    example = torch.zeros(2, 3, spec.height, spec.width)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="edge-convert-") as folder,
            warnings.catch_warnings(),
        ):
            path = Path(folder) / "exported.onnx"
            # The TorchScript exporter is deprecated, but TorchScript files have no other one,
            # and it writes GlobalAveragePool where the new one leaves ReduceMean.
            warnings.simplefilter("ignore")
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)
            torch.onnx.export(
                module,
                (example,),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=["input"],
                output_names=[OUTPUT_NAME],
                dynamic_axes={"input": {0: BATCH}, OUTPUT_NAME: {0: BATCH}},
            )
            return onnx.load(path)
    except (RuntimeError, torch.onnx.errors.OnnxExporterError, TypeError, ValueError) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"{source.path.name} does not run on float images (batch, 3, {spec.height}, "
            f"{spec.width}) or cannot be exported: {first_line[:200]}"
        ) from error


def _at_opset(graph: onnx.ModelProto, source: SourceModel) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset < OPSET:
        try:
            model = onnx.version_converter.convert_version(model, OPSET)
        except RuntimeError as error:
            raise ModelError(
                f"{source.path.name} has opset {opset} and cannot be brought to {OPSET}. "
                f"Export it again with opset {OPSET} or newer."
            ) from error
    return model


def _rename_ends(model: onnx.ModelProto, spec: InputSpec, source: SourceModel) -> None:
    """One float input (batch, 3, h, w) and one output, under the names used here."""
    initialisers = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initialisers]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise ModelError(
            f"{source.path.name} has {len(inputs)} inputs and {len(model.graph.output)} outputs; "
            "a classifier with one input and one output is needed."
        )
    _check_input(inputs[0], spec, source)
    _rename(model, inputs[0].name, NORMALISED)
    _rename(model, model.graph.output[0].name, OUTPUT_NAME)
    _make_batch_dynamic(model)


def _check_input(value: onnx.ValueInfoProto, spec: InputSpec, source: SourceModel) -> None:
    tensor = value.type.tensor_type
    found = [dimension.dim_value or "?" for dimension in tensor.shape.dim]
    needed = [3, spec.height, spec.width]
    fits = len(found) == 4 and all(f in ("?", n) for f, n in zip(found[1:], needed, strict=True))
    if not fits or tensor.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(tensor.elem_type).lower()
        raise ModelError(
            f"{source.path.name} takes {kind} {found}, the card says float [batch, 3, "
            f"{spec.height}, {spec.width}]. Correct input.height and input.width in the card, or "
            "export the model with channels first."
        )


def _make_batch_dynamic(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = BATCH
    # Shapes inferred for a fixed batch would contradict the dynamic one.
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

    ONNX Runtime leaves ReduceMean in float, and two conversions around it, in an INT8 graph.
    """
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in list(model.graph.node):
        if node.op_type == "ReduceMean" and _reduces_space(node, constants):
            _replace_mean(model, node)


def _reduces_space(node: onnx.NodeProto, constants: dict[str, NDArray[np.generic]]) -> bool:
    axes = next((list(a.ints) for a in node.attribute if a.name == "axes"), None)
    if axes is None and len(node.input) > 1 and node.input[1] in constants:
        axes = constants[node.input[1]].astype(int).tolist()
    return axes is not None and sorted(axis % 4 for axis in axes) == [2, 3]


def _replace_mean(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    keeps_dimensions = next((a.i for a in node.attribute if a.name == "keepdims"), 1)
    source, result = node.input[0], node.output[0]
    pooled = result if keeps_dimensions else f"{result}_pooled"
    position = list(model.graph.node).index(node)
    model.graph.node.remove(node)
    pool = helper.make_node("GlobalAveragePool", [source], [pooled], name=f"{result}_pool")
    model.graph.node.insert(position, pool)
    if not keeps_dimensions:
        flat = helper.make_node("Flatten", [pooled], [result], name=f"{result}_flatten", axis=1)
        model.graph.node.insert(position + 1, flat)


def _prepend_normalisation(model: onnx.ModelProto, spec: InputSpec) -> None:
    """Uint8 (batch, h, w, 3), then Transpose, Cast, Mul and Add: (x / 255 - mean) / std."""
    std, mean = np.asarray(spec.std, np.float64), np.asarray(spec.mean, np.float64)
    scale, offset = _per_channel(1 / (255 * std)), _per_channel(-mean / std)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(scale, "normalise_scale"))
    graph.initializer.append(numpy_helper.from_array(offset, "normalise_offset"))
    nodes = [
        # Transposed as bytes: a quarter of the memory traffic.
        helper.make_node(
            "Transpose", [INPUT_NAME], [CHANNELS_FIRST], "normalise_transpose", perm=[0, 3, 1, 2]
        ),
        helper.make_node(
            "Cast", [CHANNELS_FIRST], ["as_float"], "normalise_cast", to=TensorProto.FLOAT
        ),
        helper.make_node("Mul", ["as_float", "normalise_scale"], ["scaled"], "normalise_mul"),
        helper.make_node("Add", ["scaled", "normalise_offset"], [NORMALISED], "normalise_add"),
    ]
    for position, node in enumerate(nodes):
        graph.node.insert(position, node)
    shape: list[str | int | None] = [BATCH, spec.height, spec.width, 3]
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, shape))


def _per_channel(values: NDArray[np.float64]) -> NDArray[np.float32]:
    # A scalar where the channels agree: ONNX Runtime broadcasts it ten times faster.
    single = values[:1].reshape(()) if (values == values[0]).all() else values.reshape(1, 3, 1, 1)
    return single.astype(np.float32)
