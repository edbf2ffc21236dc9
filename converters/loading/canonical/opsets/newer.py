"""Converts a graph with a newer opset to `OPSET`, or to the oldest opset that is possible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import onnx
import onnx.inliner
from onnx import helper

from converters.loading.canonical.working_model.graph_session import is_near, open_graph
from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.loading.graph_file.graph import OPSET
from converters.onnx_graph.constants import constant_nodes_to_initializers
from converters.onnx_graph.editing import copy_of, int_list
from converters.onnx_graph.lookup import STANDARD_DOMAINS, array, attribute, constants, opset_of
from converters.onnx_graph.nested import all_nodes

# Newer pools have this attribute; ones are the same as no dilation.
_ONES: Final = "dilations"
_TOLERANCE: Final = 1e-3
_NO_FORM: Final = (
    RuntimeError,
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
)


def convert_newer_opset(working: WorkingModel) -> None:
    """Convert a newer graph to the oldest opset from `OPSET` on in which its outputs are the same.

    ONNX's converter cannot downgrade some operators that only got new types. For them the older
    opset is just declared; the checker and a run must then find no difference.
    """
    opset = opset_of(working.model)
    if opset <= OPSET:
        return
    model = _with_older_operators(working.model, opset)
    for candidate in _candidates(model, opset):
        if _has_same_outputs(candidate, working):
            working.model = candidate
            return


def _candidates(model: onnx.ModelProto, opset: int) -> Iterator[onnx.ModelProto]:
    for target in range(OPSET, opset):
        for convert in (onnx.version_converter.convert_version, _declared):
            try:
                candidate = convert(model, target)
                onnx.checker.check_model(candidate, full_check=True)
            except _NO_FORM:
                continue
            yield candidate


def _declared(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    copy = copy_of(model)
    for declared in copy.opset_import:
        if declared.domain in STANDARD_DOMAINS:
            declared.version = opset
    if opset == OPSET:
        _name_axes(copy)
    return copy


def _name_axes(model: onnx.ModelProto) -> None:
    """Make axes of reductions attributes, as up to opset 17; not of ReduceSum (up to opset 12)."""
    known = constants(model)
    for node in all_nodes(model.graph.node):
        is_reduction = node.op_type.startswith("Reduce") and node.op_type != "ReduceSum"
        axes = array(known, node.input[1]) if is_reduction and len(node.input) > 1 else None
        if axes is not None:
            del node.input[1:]
            node.attribute.append(helper.make_attribute("axes", axes.tolist()))


def _has_same_outputs(candidate: onnx.ModelProto, working: WorkingModel) -> bool:
    try:
        found = open_graph(candidate).rows(working.samples, working.batch)
    except RuntimeError:
        return False
    outputs = found[candidate.graph.output[0].name]
    return is_near(outputs, working.source_logits(), _TOLERANCE)


def _with_older_operators(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A copy in which newer operators and attributes are replaced by older ones, if possible."""
    since: dict[str, int] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            first = since.get(schema.name, schema.since_version)
            since[schema.name] = min(first, schema.since_version)
    names = {node.op_type for node in all_nodes(model.graph.node)}
    newer = [("", name) for name in sorted(names) if OPSET < since.get(name, 0) <= opset]
    older = copy_of(model)
    if newer:
        _name_types(older)
        older = onnx.inliner.inline_selected_functions(
            older, newer, exclude=False, inline_schema_functions=True
        )
        del older.graph.value_info[:]
    constant_nodes_to_initializers(older)
    sizes = _sizes(older)
    for node in older.graph.node:
        if node.op_type == "Split":
            _name_sizes(older, node, sizes)
    for node in all_nodes(older.graph.node):
        if since.get(node.op_type, opset) <= OPSET:
            _drop_attributes(node, opset)
    return older


def _name_types(model: onnx.ModelProto) -> None:
    """Store the type of every tensor, which inlining an operator's function needs."""
    tensors = model.graph.initializer
    held = [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    model.graph.value_info.extend(held)
    model.CopyFrom(onnx.shape_inference.infer_shapes(model))


def _drop_attributes(node: onnx.NodeProto, opset: int) -> None:
    """Remove attributes that the older operator lacks and that have no effect here."""
    known = onnx.defs.get_schema(node.op_type, OPSET).attributes
    newer = onnx.defs.get_schema(node.op_type, opset).attributes
    for held in list(node.attribute):
        if held.name in known or held.name not in newer:
            continue
        default = newer[held.name].default_value
        value = helper.get_attribute_value(held)
        is_default = default.type and helper.get_attribute_value(default) == value
        if is_default or (held.name == _ONES and set(value) == {1}):
            node.attribute.remove(held)


def _name_sizes(model: onnx.ModelProto, node: onnx.NodeProto, sizes: dict[str, list[int]]) -> None:
    """Replace the number of parts of a Split, which is newer, by the sizes of the parts."""
    count, axis = attribute(node, "num_outputs"), attribute(node, "axis", 0)
    before = sizes.get(node.input[0], [])
    size = before[axis] if -len(before) <= axis < len(before) else 0
    if count is None or size == 0:
        return
    part = -(-size // count)
    parts = [part] * (count - 1) + [size - part * (count - 1)]
    del node.input[1:]
    node.input.append(int_list(model, "parts", parts))
    held = next(held for held in node.attribute if held.name == "num_outputs")
    node.attribute.remove(held)


def _sizes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """The inferred shapes of all tensors; 0 for unknown sizes."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
