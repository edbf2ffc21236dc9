"""Names of a stranger's graph never meet those that the converter makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from converters.export.torch_to_onnx import source_to_onnx
from converters.int8.onnx_to_int8 import quantizable_tensors, quantize
from converters.int8.tensorrt_graph import for_tensorrt
from converters.layers.placement import TENSORRT, X86, Placement
from converters.loading.canonical.names import is_reserved
from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.loading.checkpoint import SourceModel
from converters.loading.sandbox.messages import SourceKind
from edge.backends.onnx import open_onnx
from edge.preprocess import InputSpec
from tests.support.networks.onnx_lab import given_by, network, outputs_of, take, to_onnx

SPEC = InputSpec(32, 32, "rgb", "area", (0.4, 0.5, 0.6), (0.2, 0.2, 0.3))
IMAGES = np.random.default_rng(1).integers(0, 255, (4, 32, 32, 3)).astype(np.uint8)


def named(names: list[str]) -> onnx.ModelProto:
    """The small network with these names on its tensors, in the order that they appear in."""
    model = to_onnx(network(), is_dynamic=True)
    graph = model.graph
    present = [*(t.name for t in graph.initializer), *(o for n in graph.node for o in n.output)]
    assert len(present) >= len(names)
    new = dict(zip(present, names, strict=False)) | {"x": "logits"}
    for node in graph.node:
        for held in (node.input, node.output):
            for position, name in enumerate(held):
                held[position] = new.get(name, name)
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = new.get(value.name, value.name)
    onnx.checker.check_model(model)
    return model


def fp32_of(taken: WorkingModel) -> onnx.ModelProto:
    source = SourceModel(
        Path("m.onnx"), SourceKind.ONNX, "", taken.model, taken.source_logits(), {}
    )
    return source_to_onnx(source, SPEC)


def int8_of(fp32: onnx.ModelProto, placement: Placement) -> onnx.ModelProto:
    ranges = dict.fromkeys(quantizable_tensors(fp32, placement), (-6.0, 6.0))
    model = quantize(fp32, ranges, SPEC, placement).model
    return for_tensorrt(model, half_floats=False) if placement.symmetric else model


def logits(model: onnx.ModelProto) -> NDArray[np.float32]:
    return open_onnx(model.SerializeToString(), "int8").infer(IMAGES).logits


@pytest.mark.parametrize("placement", [X86, TENSORRT], ids=lambda p: p.name)
@pytest.mark.parametrize(
    "names",
    [
        ["normalised", "images", "channels_first", "as_float", "rows", "normalise_scale"],
        ["a", "a_scale", "a_zero", "a_q", "a_dq", "a_weight", "a_bias"],
        ["Conv_weight_q", "Conv_weight_dq", "Conv_weight_scale", "Conv_bias_q", "c_of_x", "x."],
    ],
    ids=["ends", "tensors", "layers"],
)
def test_names_like_the_converters_give_the_same_graphs(
    names: list[str], placement: Placement
) -> None:
    plain = int8_of(fp32_of(take(to_onnx(network(), is_dynamic=True))), placement)
    clashing = int8_of(fp32_of(take(named(names))), placement)
    np.testing.assert_array_equal(logits(clashing), logits(plain))


@pytest.mark.parametrize("placement", [X86, TENSORRT], ids=lambda p: p.name)
def test_every_name_that_the_converter_makes_is_known_as_its_own(placement: Placement) -> None:
    taken = take(to_onnx(network(), is_dynamic=True))
    theirs = all_names(taken.model)
    fp32 = fp32_of(taken)
    made = all_names(int8_of(fp32, placement)) | {o for n in fp32.graph.node for o in n.output}
    # What ONNX Runtime adds when it folds is kept apart from other names by ONNX Runtime.
    assert {name for name in made - theirs - all_names(fp32) if not is_reserved(name)} == set()
    assert not any(is_reserved(name) for name in theirs - {"input", "output"})


def all_names(model: onnx.ModelProto) -> set[str]:
    return {t.name for t in model.graph.initializer} | {
        name for node in model.graph.node for name in (*node.input, *node.output) if name
    }


@pytest.mark.parametrize("name", ["", "same", "images"])
def test_nodes_without_a_name_of_their_own_get_one(name: str) -> None:
    net = network()
    model = to_onnx(net)
    for node in model.graph.node:
        node.name = name
    taken = take(model)
    names = [node.name for node in taken.model.graph.node]
    assert len(set(names)) == len(names) > 1
    assert "" not in names
    np.testing.assert_allclose(outputs_of(taken), given_by(net), atol=1e-5)
