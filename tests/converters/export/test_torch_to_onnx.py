from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from converters.cli import main
from converters.export.torch_to_onnx import _name_nodes, fold, pool_spatial_means
from edge.backends.onnx import open_onnx
from tests.support.networks.graphs import graph, some_images
from tests.support.small_bundle import colour_model


def names_of(model: onnx.ModelProto) -> list[str]:
    return [node.name for node in model.graph.node]


@pytest.mark.parametrize("name", ["", "same"])
def test_nodes_without_a_name_of_their_own_get_one(name: str) -> None:
    model = onnx.load_from_string(colour_model())
    for node in model.graph.node:
        node.name = name
    _name_nodes(model)
    assert len(set(names_of(model))) == len(model.graph.node) > 1
    assert "" not in names_of(model)
    folded = fold(model)
    assert len(set(names_of(folded))) == len(folded.graph.node)
    assert "" not in names_of(folded)


@pytest.mark.parametrize(
    ("shape", "axes", "mean", "is_pooled"),
    [
        ([-1, 4, 8, 8], [2, 3], [-1, 4, 1, 1], True),
        ([-1, 4, 8, 8], [-1, -2], [-1, 4, 1, 1], True),
        ([-1, 4, 8, 8], [1, 2], [-1, 1, 1, 8], False),
        # Of more and of fewer dimensions, where axes 2 and 3 are others.
        ([-1, 4, 4, 2, 8], [2, 3], [-1, 4, 1, 8], False),
        ([-1, 4, 64], [-1, -2], [-1, 1, 1, 1], False),
    ],
)
def test_means_over_height_and_width_alone_are_pooled(
    shape: list[int], axes: list[int], mean: list[int], *, is_pooled: bool
) -> None:
    model = graph(
        f"""parts = Reshape (f, shape)
        mean = ReduceMean <axes = {axes}, keepdims = 1> (parts)
        map = Reshape (mean, mean_shape)
        y = Add (f, map)""",
        shape=np.array(shape),
        mean_shape=np.array(mean),
    )
    pooled = onnx.ModelProto()
    pooled.CopyFrom(model)
    pool_spatial_means(pooled)
    makers = {node.output[0]: node.op_type for node in pooled.graph.node}
    assert makers["mean"] == ("GlobalAveragePool" if is_pooled else "ReduceMean")
    wanted, found = (
        open_onnx(m.SerializeToString(), "fp32").infer(some_images()).logits
        for m in (model, pooled)
    )
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_network_that_reads_the_size_of_its_images_is_converted(
    model_folder: Path, exported_onnx: bytes
) -> None:
    model = onnx.load_model_from_string(exported_onnx)
    name = model.graph.input[0].name
    side = model.graph.input[0].type.tensor_type.shape.dim[3].dim_value
    for node in model.graph.node:
        for position, read in enumerate(node.input):
            if read == name:
                node.input[position] = "again"
    # What `x.flatten(1, 2)` is in ONNX, and back.
    front = onnx.parser.parse_graph(
        f"""f (float[n, 3, {side}, {side}] {name}) => (float[n, 3, {side}, {side}] again) {{
            size = Shape ({name})
            first = Slice (size, zero, one)
            last = Slice (size, three, four)
            rows = Concat <axis = 0> (first, minus, last)
            flat = Reshape ({name}, rows)
            again = Reshape (flat, image)
        }}"""
    )
    for position, node in enumerate(front.node):
        model.graph.node.insert(position, node)
    numbers = {"zero": [0], "one": [1], "three": [3], "four": [4], "minus": [-1]}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array(values), key)
        for key, values in {**numbers, "image": [-1, 3, side, side]}.items()
    )
    (model_folder / "rows.onnx").write_bytes(model.SerializeToString())
    words = ["--card", str(model_folder / "tiny.yaml"), "--out", str(model_folder / "rows.edge")]
    assert main([str(model_folder / "rows.onnx"), "--int8", *words]) == 0
    assert (model_folder / "rows.edge" / "model.int8.trt.onnx").exists()
