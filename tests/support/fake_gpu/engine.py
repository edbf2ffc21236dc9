"""A loaded engine and its execution contexts: ONNX Runtime computes in place of the GPU."""

from __future__ import annotations

import ctypes
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.backends.onnx import open_onnx
from tests.support.fake_gpu.device import FakeGpu


class Engine:
    def __init__(self, gpu: FakeGpu, queue: Any, header: dict[str, Any], graph: bytes) -> None:
        self._gpu, self._queue, self.header = gpu, queue, header
        self.contexts = 0
        self.session = open_onnx(graph, "fp32", optimise=False)
        assert self.session._session is not None  # noqa: SLF001 - shapes of the graph
        outputs = self.session._session.get_outputs()  # noqa: SLF001 - shapes of the graph
        self.columns: dict[str, int] = {output.name: int(output.shape[1]) for output in outputs}
        # TensorRT may list them in another order than the graph.
        self.names: tuple[str, ...] = ("images", *reversed(self.columns))
        self.num_io_tensors = len(self.names)

    def get_tensor_name(self, index: int) -> str:
        name: str = self.names[index]
        return name

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name == "images" else "output"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name == "images":
            return (-1, *self.header["shapes"][0][1:])
        return (-1, self.columns[name])

    # What one context needs while it runs; only 8 bytes, which the fake does not use.
    device_memory_size = device_memory_size_v2 = 8

    def create_execution_context(self, _strategy: object = None) -> Any:
        if self.header["fault"] == "no context":
            return None
        return Execution(self._gpu, self._queue, self)

    def create_execution_context_without_device_memory(self) -> Any:
        return self.create_execution_context()

    def create_engine_inspector(self) -> Any:
        layers = [
            {"Outputs": [{"Format/Datatype": "Int8 NC/32HW32"}]},
            {"Outputs": [{"Format/Datatype": "Half"}]},
        ]
        text = json.dumps({"Layers": layers})
        return SimpleNamespace(get_engine_information=lambda _format: text)


class Execution:
    def __init__(self, gpu: FakeGpu, queue: Any, engine: Engine) -> None:
        self._gpu, self._queue, self._engine = gpu, queue, engine
        self._has_profile = engine.contexts == 0 or engine.header["shares_profile"]
        engine.contexts += 1
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()

    def set_device_memory(self, address: int, size: int) -> None:
        assert address > 0
        assert size > 0

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def set_input_shape(self, _name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self._engine.header["shapes"]
        self._shape = shape
        return bool(least[0] <= shape[0] <= most[0])

    def execute_async_v3(self, stream: int) -> bool:
        is_broken = self._engine.header["fault"] == "does not run"
        if self._gpu.lost or is_broken or not self._has_profile:
            return False
        shape = self._shape
        self._queue(stream, lambda: self._run(shape))
        return True

    def _run(self, shape: tuple[int, ...]) -> None:
        self._gpu.runs.append(shape[0])
        size = int(np.prod(shape))
        images = np.ctypeslib.as_array(
            (ctypes.c_uint8 * size).from_address(self._addresses["images"])
        )
        inferred = self._engine.session.infer(images.reshape(shape))
        logits = inferred.logits
        limit = self._gpu.swapped_above
        is_wrong = self._engine.header["fault"] == "wrong labels"
        if is_wrong or (limit is not None and shape[0] > limit):
            logits[:, [0, 1]] = logits[:, [1, 0]]
        self._write("logits", logits)
        if inferred.features is not None:
            self._write("features", inferred.features)

    def _write(self, name: str, values: NDArray[np.float32]) -> None:
        ctypes.memmove(self._addresses[name], values.ctypes.data, values.nbytes)
