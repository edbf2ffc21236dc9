"""Building plans: with the real TensorRT for RTX, which needs no GPU, and on the fake."""

from __future__ import annotations

import gc
import hashlib
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.backends.trt.build import UNTRIED_NOTE, BuildOptions, build_plan
from edge.backends.trt.gpu import find_machine
from edge.backends.trt.library import Library, Messages, open_library
from edge.backends.trt.plan import AMPERE_PLUS, PlanRecord
from edge.backends.trt.targets import capability_of, known_targets
from edge.errors import BackendError, BundleError
from tests.support import fake_gpu
from tests.support.fake_gpu import FakeGpu
from tests.support.small_bundle import colour_model


@pytest.fixture(scope="module")
def rtx() -> Library:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    return open_library("tensorrt-rtx")


def silent(_step: str, _done: int, _total: int) -> None:
    pass


def linear_model() -> bytes:
    """An FP32 matrix product, which TensorRT for RTX does not compile for Turing."""
    import numpy as np

    weight = np.random.default_rng(0).normal(size=(8, 16 * 16 * 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 16, 16, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 8])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_build_for_three_capabilities_without_a_gpu_gives_a_plan_and_its_record(
    rtx: Library,
) -> None:
    steps: list[tuple[str, int, int]] = []
    options = BuildOptions("fp16", targets=("8.6", "8.9", "12.0"))
    plan = build_plan(rtx, colour_model(), options, None, lambda *step: steps.append(step))
    record = plan.record
    assert record.compute_capabilities == ("8.6", "8.9", "12.0")
    assert record.plan_sha256 == hashlib.sha256(plan.content).hexdigest()
    assert record.plan_bytes == len(plan.content) > 10_000
    assert record.graph_sha256 == hashlib.sha256(colour_model()).hexdigest()
    assert record.layers >= 3
    assert record.gpu is None
    assert UNTRIED_NOTE in record.notes
    assert PlanRecord.from_dict(record.to_dict()) == record
    assert steps
    assert all(0 < done <= total for _, done, total in steps)


def test_build_of_fp32_for_turing_is_refused_with_the_librarys_reason(rtx: Library) -> None:
    options = BuildOptions("fp32", targets=("7.5",))
    with pytest.raises(BackendError, match=r"sm75: .*FP32 GEMM is not supported.*int8 and fp16"):
        build_plan(rtx, linear_model(), options, None, silent)
    elsewhere = BuildOptions("fp32", targets=("8.6",))
    assert build_plan(rtx, linear_model(), elsewhere, None, silent).content


def test_build_for_an_unknown_capability_names_the_known_ones(rtx: Library) -> None:
    with pytest.raises(BackendError, match=r"sm90.*sm86.*tensorrt on that machine"):
        build_plan(rtx, colour_model(), BuildOptions("int8", targets=("9.0",)), None, silent)


def test_build_with_tensorrts_portability_is_refused_by_rtx(rtx: Library) -> None:
    for options in (
        BuildOptions("int8", portability=AMPERE_PLUS),
        BuildOptions("int8", version_compatible=True),
    ):
        with pytest.raises(BackendError, match="no portability options"):
            build_plan(rtx, colour_model(), options, None, silent)


def test_build_of_a_graph_that_moves_bytes_before_the_cast_is_refused(rtx: Library) -> None:
    nodes = [
        helper.make_node("Transpose", ["images"], ["moved"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["moved"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["logits"], axes=[2, 3], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "moving",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 16, 16, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    with pytest.raises(BundleError, match=r"UInt8.*Convert the model again"):
        build_plan(
            rtx, model.SerializeToString(), BuildOptions("fp16", targets=("8.6",)), None, silent
        )


def test_interrupting_a_build_ends_it(rtx: Library) -> None:
    def interrupt(_step: str, _done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_plan(rtx, colour_model(), BuildOptions("fp16", targets=("8.6",)), None, interrupt)


def test_known_targets_of_rtx_are_compute_capabilities_in_order(rtx: Library) -> None:
    found = known_targets(rtx)
    assert {"8.6", "8.9", "12.0"} <= set(found)
    assert list(found) == sorted(found, key=lambda text: [int(x) for x in text.split(".")])


@pytest.mark.parametrize(
    ("text", "expected"), [("sm86", "8.6"), ("SM120", "12.0"), ("8.9", "8.9"), ("90", "9.0")]
)
def test_capability_of_reads_both_spellings(text: str, expected: str) -> None:
    assert capability_of(text) == expected


@pytest.mark.parametrize(
    ("version", "precision", "typing", "flags"),
    [
        ("10.16.1.11", "int8", 2, []),
        ("11.4.0", "int8", 2, []),
        ("8.6.1", "int8", 1, ["FP16", "INT8"]),
        ("8.6.1", "fp16", 1, ["FP16"]),
    ],
)
def test_tensorrt_is_told_precisions_and_tactic_sources_in_version_8_alone(
    monkeypatch: pytest.MonkeyPatch, version: str, precision: str, typing: int, flags: list[str]
) -> None:
    gpu = FakeGpu()
    fake_gpu.install(monkeypatch, gpu, version=version)
    library = open_library("tensorrt")
    plan = build_plan(library, colour_model(), BuildOptions(precision), find_machine(), silent)
    # The bits of EDGE_MASK_CONVOLUTIONS and JIT_CONVOLUTIONS in version 8.6: not cuBLAS, not cuDNN.
    is_old = version.startswith("8.")
    sources = (1 << 3 | 1 << 4) if is_old else None
    assert gpu.builds == [{"flags": flags, "typing": typing, "tactic_sources": sources}]
    named = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS") if is_old else ()
    assert plan.record.flags == (*flags, *named)
    assert plan.record.compute_capabilities == ("8.9",)
    assert plan.record.gpu == gpu.name
    assert plan.record.notes == ()


def test_timing_cache_is_kept_and_given_to_the_next_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_gpu.install(monkeypatch, FakeGpu())
    library, path = open_library("tensorrt"), tmp_path / "new" / "timings"
    options = BuildOptions("int8", timing_cache=path)
    build_plan(library, colour_model(), options, find_machine(), silent)
    path.write_bytes(path.read_bytes() + b" of an earlier build")
    build_plan(library, colour_model(), options, find_machine(), silent)
    assert path.read_bytes() == b"timings of an earlier build"
    gc.collect()
    assert not library.module.fake_loggers.used_a_freed_one


def test_a_timing_cache_with_which_nothing_is_built_is_removed_and_the_engine_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gpu = FakeGpu()
    fake_gpu.install(monkeypatch, gpu)
    path = tmp_path / "timings"
    path.write_bytes(fake_gpu.DAMAGED_TIMINGS)
    options = BuildOptions("int8", timing_cache=path)
    plan = build_plan(open_library("tensorrt"), colour_model(), options, find_machine(), silent)
    assert (len(gpu.builds), plan.record.precision) == (2, "int8")
    assert path.read_bytes() == b"timings"


def test_a_build_that_fails_without_a_timing_cache_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gpu = FakeGpu(lost=True)
    fake_gpu.install(monkeypatch, gpu)
    options = BuildOptions("int8", timing_cache=tmp_path / "timings")
    with pytest.raises(BackendError, match="out of memory"):
        build_plan(open_library("tensorrt"), colour_model(), options, find_machine(), silent)
    assert len(gpu.builds) == 1


def test_messages_at_the_same_time_hear_the_library_s_errors_and_are_forgotten_when_freed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_gpu.install(monkeypatch, FakeGpu())
    library = open_library("tensorrt")
    first, second = Messages(library), Messages(library)
    assert first.logger is second.logger
    first.logger.log(library.module.ILogger.Severity.ERROR, "out of\nmemory")
    first.logger.log(library.module.ILogger.Severity.WARNING, "slow")
    assert first.reason() == second.reason() == "out of memory"
    first.clear()
    assert first.reason() == "the library gave no reason"
    del second
    gc.collect()
    assert list(first.logger.listeners) == [first]


def test_tensorrt_for_other_machines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gpu.install(monkeypatch, FakeGpu())
    library = open_library("tensorrt")
    with pytest.raises(BackendError, match="GPU of this machine alone"):
        build_plan(library, colour_model(), BuildOptions("int8", targets=("8.6",)), None, silent)


@pytest.mark.parametrize("version", ["8.5.3", "7.2"])
def test_a_tensorrt_that_is_too_old_is_refused(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    fake_gpu.install(monkeypatch, FakeGpu(), version=version)
    with pytest.raises(BackendError, match=r"8\.6 or newer"):
        open_library("tensorrt")
