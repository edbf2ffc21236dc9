"""Serving a plan, against the fake GPU: work runs when its stream is synchronised."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from edge.backends.trt.build import BuildOptions, Plan, build_plan
from edge.backends.trt.gpu import find_machine
from edge.backends.trt.library import Library, open_library
from edge.backends.trt.session import TensorRtSession, batch_sizes, count_types, open_plan
from edge.errors import BackendError, DeviceError, PlanError
from edge.system.installation import install_command
from tests.support import fake_gpu
from tests.support.fake_gpu import FakeGpu
from tests.support.small_bundle import colour_model


@pytest.fixture(params=["10.16.1.11", "8.6.1"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    found = FakeGpu()
    fake_gpu.install(monkeypatch, found, version=request.param)
    return found


def silent(_step: str, _done: int, _total: int) -> None:
    pass


def plan_of(library: Library, max_batch: int = 12, *, graph: bytes | None = None) -> Plan:
    options = BuildOptions("int8", max_batch=max_batch)
    return build_plan(library, graph or colour_model(), options, find_machine(), silent)


@pytest.fixture
def session(gpu: FakeGpu) -> TensorRtSession:
    library = open_library("tensorrt")
    opened = open_plan(library, plan_of(library))
    gpu.runs.clear()
    return opened


def images_of(levels: list[int]) -> np.ndarray:
    images = np.zeros((len(levels), 16, 16, 3), np.uint8)
    images[..., 0] = np.array(levels)[:, None, None]
    return images


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 11, 12])
def test_infer_gives_each_image_its_own_logits_in_any_batch(
    session: TensorRtSession, count: int
) -> None:
    levels = list(range(10, 10 + count))
    logits = session.infer(images_of(levels)).logits
    assert logits.dtype == np.float32
    assert logits[:, 0].tolist() == pytest.approx([0.1 * level for level in levels])
    assert logits.shape == (count, 3)


@pytest.mark.parametrize("can_capture", [True, False])
def test_infer_of_an_engine_with_features_gives_each_image_its_own(
    gpu: FakeGpu, *, can_capture: bool
) -> None:
    gpu.can_capture = can_capture
    library = open_library("tensorrt")
    session = open_plan(library, plan_of(library, graph=colour_model(has_features=True)))
    first = session.infer(images_of([10, 20, 30]))
    session.infer(images_of([200] * 12))
    assert first.features is not None
    assert first.features[:, 0].tolist() == pytest.approx([10, 20, 30])
    assert first.logits[:, 0].tolist() == pytest.approx([1, 2, 3])
    session.close()
    assert gpu.allocations == 0


def test_infer_of_an_engine_without_features_gives_none(session: TensorRtSession) -> None:
    assert session.infer(images_of([10])).features is None


def test_open_plan_of_an_engine_with_an_unknown_output_is_refused(gpu: FakeGpu) -> None:
    renamed = colour_model(has_features=True).replace(b"features", b"pictures")
    library = open_library("tensorrt")
    plan = plan_of(library, graph=renamed)
    with pytest.raises(PlanError, match="one input, logits and at most features needed"):
        open_plan(library, plan)
    assert gpu.pushed == 0


def test_infer_uses_the_graph_of_the_next_larger_batch(
    session: TensorRtSession, gpu: FakeGpu
) -> None:
    before = gpu.launches
    session.infer(images_of([1] * 5))
    assert gpu.runs == [8]
    assert gpu.launches == before + 1


def test_infer_after_a_larger_batch_gives_nothing_of_it(session: TensorRtSession) -> None:
    session.infer(images_of([200] * 12))
    assert session.infer(images_of([10])).logits[0].tolist() == pytest.approx([1.0, 0, 0])


def test_infer_from_many_threads_mixes_no_results(session: TensorRtSession) -> None:
    def red(level: int) -> float:
        return float(session.infer(images_of([level] * (1 + level % 3))).logits[-1, 0])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(red, range(200)))
    assert found == pytest.approx([0.1 * level for level in range(200)])


def test_infer_without_capture_runs_without_graphs(
    gpu: FakeGpu,
) -> None:
    gpu.can_capture = False
    library = open_library("tensorrt")
    session = open_plan(library, plan_of(library))
    assert session.infer(images_of([10, 20, 30])).logits[:, 0].tolist() == pytest.approx([1, 2, 3])
    assert gpu.launches == 0


@pytest.mark.parametrize("count", [0, 13])
def test_infer_of_more_than_the_engine_takes_is_refused(
    session: TensorRtSession, count: int
) -> None:
    with pytest.raises(BackendError, match="1 to 12"):
        session.infer(images_of([1] * count))


def test_infer_of_wrong_shape_or_type_is_refused_before_the_gpu_sees_it(
    session: TensorRtSession, gpu: FakeGpu
) -> None:
    for images in (np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 16, 16, 3), np.float32)):
        with pytest.raises(BackendError, match="the engine takes uint8"):
            session.infer(images)  # type: ignore[arg-type]
    assert gpu.runs == []


def test_infer_on_a_lost_gpu_is_a_device_error_every_time_and_close_still_works(
    session: TensorRtSession, gpu: FakeGpu
) -> None:
    gpu.lost = True
    for _ in range(2):
        with pytest.raises(DeviceError, match=r"failed|ILLEGAL_ADDRESS"):
            session.infer(images_of([1]))
    assert gpu.pushed == 0
    session.close()
    with pytest.raises(BackendError, match="closed"):
        session.infer(images_of([1]))


def test_close_frees_everything_and_may_be_called_twice(
    session: TensorRtSession, gpu: FakeGpu
) -> None:
    assert gpu.allocations > 0
    session.close()
    session.close()
    assert gpu.allocations == 0
    assert gpu.pushed == 0


def test_open_plan_that_the_library_refuses_frees_the_device_and_says_how_to_rebuild(
    gpu: FakeGpu,
) -> None:
    library = open_library("tensorrt")
    plan = replace(plan_of(library), content=b"no plan")
    with pytest.raises(BackendError, match=r"magicTag.*Build it again here"):
        open_plan(library, plan)
    assert gpu.pushed == 0


def test_open_plan_without_pycuda_says_what_to_install(
    gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = open_library("tensorrt")
    plan = plan_of(library)
    fake_gpu.uninstalled(monkeypatch, "pycuda", "pycuda.driver")
    with pytest.raises(BackendError, match=re.escape(install_command("gpu"))):
        open_plan(library, plan)
    assert gpu.runs == []


def test_layer_precisions_counts_the_inspectors_layers(session: TensorRtSession) -> None:
    assert session.layer_precisions() == {"int8": 1, "fp16": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("not json", None),
        ('{"Layers": ["name only"]}', None),
        ('{"Layers": [{"Outputs": [{"Format/Datatype": "Row major linear FP32"}]}]}', {"fp32": 1}),
        ('{"Layers": [{"Outputs": [{"Datatype": "Int8"}]}, {"Outputs": []}]}', {"int8": 1}),
        ('{"Layers": [{"Outputs": [{"Datatype": "FP8"}]}]}', {"other": 1}),
        # A line break inside a text, as TensorRT 8.6 writes it; a name that looks like a type.
        (
            '{"Layers": [{"Text": "\n", "Outputs": [{"Name": "int8", "Datatype": "FP16"}]}]}',
            {"fp16": 1},
        ),
    ],
)
def test_count_types_reads_what_inspectors_write(
    text: str, expected: dict[str, int] | None
) -> None:
    assert count_types(text) == expected


@pytest.mark.parametrize(("largest", "sizes"), [(1, (1,)), (12, (1, 2, 4, 8, 12)), (4, (1, 2, 4))])
def test_batch_sizes_end_with_the_largest(largest: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(largest) == sizes


@pytest.mark.parametrize("can_capture", [True, False])
def test_binding_runs_the_engine_alone_on_memory_of_each_tensor(
    gpu: FakeGpu, *, can_capture: bool
) -> None:
    gpu.can_capture = can_capture
    library = open_library("tensorrt")
    session = open_plan(library, plan_of(library, graph=colour_model(has_features=True)))
    loaded = session._loaded  # noqa: SLF001 - what lies on the GPU
    assert loaded is not None
    execution = session.bind(images_of([10, 20, 30]))
    assert execution.has_graph == can_capture
    gpu.runs.clear()
    execution.run()
    execution.run()
    assert gpu.runs == [3, 3]
    assert loaded.features is not None
    with loaded.device.current():
        for buffer in (loaded.logits, loaded.features):
            loaded.device.copy_out(buffer, 3)
        loaded.device.synchronise()
    assert loaded.features.host[:3, 0].tolist() == pytest.approx([10, 20, 30])
    assert loaded.logits.host[:3, 0].tolist() == pytest.approx([1, 2, 3])
    execution.close()
    session.close()
    assert gpu.allocations == 0


def test_binding_of_a_batch_that_the_engine_does_not_take_is_refused(
    session: TensorRtSession,
) -> None:
    with pytest.raises(BackendError, match="13 images in one call"):
        session.bind(images_of([1] * 13))


def test_binding_of_a_closed_session_is_a_backend_error(session: TensorRtSession) -> None:
    session.close()
    with pytest.raises(BackendError, match="the TensorRT session is closed"):
        session.bind(images_of([1]))
