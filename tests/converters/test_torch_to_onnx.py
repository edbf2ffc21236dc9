from __future__ import annotations

import onnx
import pytest

from converters.torch_to_onnx import _name_nodes, fold
from tests.conftest import colour_model


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
