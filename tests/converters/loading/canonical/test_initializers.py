from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from converters.loading.canonical.initializers import fold_constants, plain_initializers
from converters.loading.canonical.working_model.working_model import WorkingModel
from tests.support.networks.onnx_lab import (
    CLASS_COUNT,
    SAMPLES,
    given_by,
    network,
    outputs_of,
    take,
    to_onnx,
)


def test_weights_among_the_inputs_become_plain_initializers() -> None:
    net = network()
    model = to_onnx(net, opset=9, keep_initializers_as_inputs=True)
    model.ir_version = 3
    assert len(model.graph.input) > 1
    taken = take(model)
    assert [value.name for value in taken.model.graph.input] == ["input"]
    assert taken.model.ir_version >= 8
    np.testing.assert_allclose(outputs_of(taken), given_by(net), atol=1e-5)


def test_constant_nodes_and_sparse_weights_become_dense_initializers() -> None:
    dense = np.array([[0, 2.5, 0], [0, 0, -1]], np.float32)
    sparse = onnx.SparseTensorProto(
        values=numpy_helper.from_array(np.array([2.5, -1], np.float32), "w"),
        indices=numpy_helper.from_array(np.array([1, 5], np.int64)),
        dims=[2, 3],
    )
    nodes = [
        helper.make_node("Constant", [], ["c"], value_floats=[1.0, 2.0]),
        helper.make_node("Constant", [], ["d"], sparse_value=sparse),
        helper.make_node("MatMul", ["c", "d"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [], [helper.make_empty_tensor_value_info("y")])
    graph.sparse_initializer.append(sparse)
    working = WorkingModel(helper.make_model(graph), "m.onnx", CLASS_COUNT, SAMPLES)
    plain_initializers(working)
    found = {t.name: numpy_helper.to_array(t) for t in working.model.graph.initializer}
    np.testing.assert_array_equal(found["w"], dense)
    np.testing.assert_array_equal(found["d"], dense)
    np.testing.assert_array_equal(found["c"], [1, 2])
    assert [node.op_type for node in working.model.graph.node] == ["MatMul"]
    assert not working.model.graph.sparse_initializer


def test_constant_list_of_tensors_stays_as_it_is() -> None:
    nodes = [
        helper.make_node("SequenceEmpty", [], ["none"]),
        helper.make_node("SequenceInsert", ["none", "x"], ["one"]),
        helper.make_node("ConcatFromSequence", ["one"], ["y"], axis=0),
    ]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph(nodes, "g", [image], [helper.make_empty_tensor_value_info("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    working = WorkingModel(model, "m.onnx", CLASS_COUNT, SAMPLES)
    fold_constants(working)
    assert working.model.graph.node[0].op_type == "SequenceEmpty"
