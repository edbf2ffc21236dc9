"""A real engine on a real GPU. Skipped, with the reason, where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.backends.onnx import open_onnx
from edge.backends.trt.build import BuildOptions, Plan, build_plan
from edge.backends.trt.library import Library
from edge.backends.trt.plan import Machine
from edge.backends.trt.plan_cache import PlanCache, PlanRequest
from edge.backends.trt.session import TensorRtSession, batch_sizes, open_plan
from edge.errors import BackendError
from tests.support.small_bundle import colour_model

MAX_BATCH = 8
# A float network; TensorRT 8 may choose FP16 for it.
TOLERANCE = 0.02
PAGE_BYTES = 2 << 20


def say_nothing(_step: str, _done: int, _total: int) -> None:
    pass


def pixels(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), np.uint8)


def expected(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return open_onnx(colour_model(), "fp32").infer(images).logits


@pytest.fixture(scope="module")
def plan(real_library: Library, real_machine: Machine) -> Plan:
    options = BuildOptions("fp16", max_batch=MAX_BATCH)
    return build_plan(real_library, colour_model(), options, real_machine, say_nothing)


def test_infer_of_every_batch_size_in_any_order_equals_onnx_runtime(
    real_library: Library, plan: Plan
) -> None:
    session = open_plan(real_library, plan)
    sizes = (*range(1, MAX_BATCH + 1), *range(MAX_BATCH, 0, -1))
    for seed, size in enumerate(sizes):
        images = pixels(size, seed)
        np.testing.assert_allclose(session.infer(images).logits, expected(images), rtol=TOLERANCE)
    session.close()


def test_a_batch_beyond_the_engine_is_refused_and_the_next_call_works(
    real_library: Library, plan: Plan
) -> None:
    session = open_plan(real_library, plan)
    with pytest.raises(BackendError, match=f"takes 1 to {MAX_BATCH}"):
        session.infer(pixels(MAX_BATCH + 1))
    np.testing.assert_allclose(session.infer(pixels(1)).logits, expected(pixels(1)), rtol=TOLERANCE)
    session.close()


def test_close_twice_does_nothing_and_infer_afterwards_is_refused(
    real_library: Library, plan: Plan
) -> None:
    session = open_plan(real_library, plan)
    session.close()
    session.close()
    with pytest.raises(BackendError, match="closed"):
        session.infer(pixels(1))


def test_two_sessions_at_once_do_not_disturb_each_other(real_library: Library, plan: Plan) -> None:
    one, other = open_plan(real_library, plan), open_plan(real_library, plan)
    np.testing.assert_allclose(one.infer(pixels(3)).logits, expected(pixels(3)), rtol=TOLERANCE)
    one.close()
    np.testing.assert_allclose(other.infer(pixels(2)).logits, expected(pixels(2)), rtol=TOLERANCE)
    other.close()


def test_a_plan_that_was_kept_is_read_again_and_runs(
    real_library: Library, real_machine: Machine, tmp_path: Path
) -> None:
    cache = PlanCache(tmp_path / "engines")
    options = BuildOptions("fp16", max_batch=2)
    request = PlanRequest(real_library, real_machine, colour_model(), options)
    built = cache.build(request, say_nothing)
    read = cache.find(request)
    assert read is not None
    assert read.record == built.record
    session = open_plan(real_library, read, runtime_cache=cache.runtime_cache(read))
    np.testing.assert_allclose(session.infer(pixels(2)).logits, expected(pixels(2)), rtol=TOLERANCE)
    session.close()


def test_each_batch_size_has_its_graph(real_library: Library, plan: Plan) -> None:
    if real_library.is_rtx:
        pytest.skip("TensorRT for RTX captures its graphs itself")
    session = open_plan(real_library, plan)
    assert session._loaded is not None  # noqa: SLF001 - what lies on the GPU
    assert tuple(session._loaded.graphs) == batch_sizes(MAX_BATCH)  # noqa: SLF001 - what lies on the GPU
    session.close()


def test_used_bytes_stay_over_many_calls(real_library: Library, plan: Plan) -> None:
    session = open_plan(real_library, plan)
    used = [_used_after_calls(session, 100) for _ in range(4)]
    session.close()
    assert max(used) - used[0] <= PAGE_BYTES


def _used_after_calls(session: TensorRtSession, calls: int) -> int:
    for number in range(calls):
        session.infer(pixels(number % MAX_BATCH + 1))
    return session.used_bytes()
