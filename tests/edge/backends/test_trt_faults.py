"""Plans whose records fit and that do not work; against the fake GPU."""

from __future__ import annotations

import json

import pytest

from edge.backends.trt.plan_cache import FAILED_NOTE
from edge.errors import BackendError
from tests.edge.backends.test_trt_select import Open, add_plan, gpu, opened, root
from tests.support import fake_gpu
from tests.support.fake_gpu import FAULTS, FakeGpu

__all__ = ("gpu", "opened", "root")


@pytest.fixture(autouse=True)
def one_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the other library, which `auto` would try after this one."""
    fake_gpu.uninstalled(monkeypatch, "tensorrt_rtx")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plan_of_the_bundle_that_does_not_work_is_told_and_built_anew_once(
    opened: Open, gpu: FakeGpu, fault: str
) -> None:
    add_plan(opened.root, driver="535.1")
    gpu.fault, gpu.faulty_builds = fault, 1
    assert opened(precision="int8") == "tensorrt int8"
    assert (opened.graph, len(gpu.builds)) == ("model.int8.trt.onnx", 2)
    assert opened.said[0].startswith(
        "engines/int8.plan (of driver 535.1, here is CUDA 13.0) does not work: "
    )
    assert opened(precision="int8") == "tensorrt int8"
    assert len(gpu.builds) == 2, "the plan that was built here was not kept"
    assert gpu.allocations == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_kept_plan_that_does_not_work_is_replaced_by_a_new_one(
    opened: Open, gpu: FakeGpu, fault: str
) -> None:
    opened(precision="int8")
    gpu.fault, gpu.faulty_builds = fault, 1
    opened.said.clear()
    assert opened(precision="int8") == "tensorrt int8"
    assert opened.said[0].startswith("the stored int8 engine is built again: ")
    assert len(gpu.builds) == 2
    opened.said.clear()
    assert opened(precision="int8") == "tensorrt int8"
    assert (len(gpu.builds), len(opened.said)) == (2, 1)
    assert len(list(opened.cache.glob("*.plan"))) == 1
    assert gpu.allocations == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_where_new_plans_do_not_work_either_the_cpu_serves_and_none_is_built_at_the_next_start(
    opened: Open, gpu: FakeGpu, fault: str
) -> None:
    gpu.fault, gpu.faulty_builds = fault, 99
    assert opened(precision="int8").startswith("onnxruntime-cpu")
    assert len(gpu.builds) == 1
    opened.said.clear()
    assert opened(precision="int8").startswith("onnxruntime-cpu")
    assert len(gpu.builds) == 1
    (plan,) = opened.cache.glob("*.plan")
    assert opened.said[0].startswith("no tensorrt: the int8 engine that was built here does not wo")
    assert opened.said[0].endswith(f"to have it built, remove {plan}.")
    plan.unlink()
    gpu.fault = None
    assert opened(precision="int8") == "tensorrt int8"
    assert len(gpu.builds) == 2


def test_a_plan_that_failed_when_it_was_new_and_works_now_serves_without_a_build(
    opened: Open, gpu: FakeGpu
) -> None:
    # As on a GPU whose memory another program held at the first start.
    gpu.fault, gpu.faulty_builds = "no context", 99
    assert opened(precision="int8").startswith("onnxruntime-cpu")
    (record,) = opened.cache.glob("*.json")
    assert json.loads(record.read_bytes())["notes"] == [FAILED_NOTE]
    gpu.fault = None
    assert opened(precision="int8") == "tensorrt int8"
    assert len(gpu.builds) == 1


def test_a_kept_plan_stays_where_a_new_one_cannot_be_built(opened: Open, gpu: FakeGpu) -> None:
    opened(precision="int8")
    (plan,) = opened.cache.glob("*.plan")
    content = plan.read_bytes()
    gpu.fault, gpu.faulty_builds, gpu.can_build = "no context", 1, False
    assert opened(precision="int8").startswith("onnxruntime-cpu")
    assert any("no implementation for a node" in text for text in opened.said)
    assert plan.read_bytes() == content


def test_a_lost_gpu_is_no_fault_of_the_plan_and_nothing_is_built(
    opened: Open, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(precision="int8")
    engine = fake_gpu.Engine
    create = engine.create_execution_context

    def lose(self: object, strategy: object = None) -> object:
        gpu.lost = True
        return create(self, strategy)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "create_execution_context", lose)
    with pytest.raises(BackendError, match="the GPU failed"):
        opened("tensorrt", "int8")
    assert len(gpu.builds) == 1
    (record,) = opened.cache.glob("*.json")
    assert json.loads(record.read_bytes())["notes"] == []


def test_a_missing_pycuda_is_no_fault_of_the_plan_and_nothing_is_built(
    opened: Open, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(precision="int8")
    fake_gpu.uninstalled(monkeypatch, "pycuda", "pycuda.driver")
    with pytest.raises(BackendError, match="pycuda cannot be loaded"):
        opened("tensorrt", "int8")
    assert len(gpu.builds) == 1


def test_a_plan_whose_record_this_version_cannot_read_is_passed_over(
    opened: Open, gpu: FakeGpu
) -> None:
    add_plan(opened.root, max_batch=0)
    assert opened(precision="int8") == "tensorrt int8"
    assert len(gpu.builds) == 2
    assert opened.said[0].startswith("engines/int8.plan is skipped: ")
    assert "is not the record of a plan" in opened.said[0]
    assert opened.graph == "model.int8.trt.onnx"


@pytest.mark.parametrize(
    "damage",
    [b"[" * 100_000, b"{}" + b" " * (17 << 20), b'{"schema": NaN}', b"\xff"],
    ids=["nested", "huge", "no JSON", "no UTF-8"],
)
def test_a_damaged_record_in_the_cache_costs_a_build_and_no_start(
    opened: Open, gpu: FakeGpu, damage: bytes
) -> None:
    opened(precision="int8")
    (record,) = opened.cache.glob("*.json")
    record.write_bytes(damage)
    assert opened(precision="int8") == "tensorrt int8"
    assert len(gpu.builds) == 2


def test_timings_of_a_folder_that_others_may_write_are_not_read(opened: Open, gpu: FakeGpu) -> None:
    opened(precision="int8")
    (opened.cache / "tensorrt.timing").write_bytes(fake_gpu.DAMAGED_TIMINGS)
    opened.cache.chmod(0o777)
    assert opened(precision="int8") == "tensorrt int8"
    assert len(gpu.builds) == 2, "the timings of others were given to the library"
