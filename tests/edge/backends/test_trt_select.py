"""Which plan and back end is chosen, and why; against the fake GPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge.backends.opening import Opening
from edge.backends.select import open_session
from edge.backends.trt.build import BuildOptions, Plan, build_plan
from edge.backends.trt.gpu import find_machine
from edge.backends.trt.library import open_library
from edge.backends.trt.plan_cache import PlanCache
from edge.bundle import load_bundle
from edge.errors import BackendError, BundleError
from edge.golden import golden_labeller
from edge.image_files.read import ImageFile
from edge.manifest import ROLE_ENGINE, ROLE_RECORD
from tests.support import fake_gpu
from tests.support.engine_bundle import add_tensorrt_graphs, put, write_manifest
from tests.support.fake_gpu import FakeGpu
from tests.support.images import Jpeg
from tests.support.small_bundle import colour_model


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    found = FakeGpu()
    fake_gpu.install(monkeypatch, found)
    return found


@pytest.fixture
def root(small_bundle: Path) -> Path:
    return add_tensorrt_graphs(small_bundle)


class Open:
    """Opens sessions with a cache of its own and keeps what was said."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root, self.cache = root, cache
        self.said: list[str] = []
        self.graph = self.model = ""
        self.steps: list[str] = []

    def __call__(self, backend: str = "auto", precision: str | None = None) -> str:
        opening = Opening(
            cache=self.cache,
            on_choice=self.said.append,
            on_progress=lambda step, *_: self.steps.append(step),
        )
        bundle = load_bundle(self.root)
        session = open_session(bundle, backend=backend, precision=precision, opening=opening)
        session.close()
        self.graph = session.graph
        self.model = bundle.graph_of(session)
        return f"{session.backend} {session.precision}"


@pytest.fixture
def opened(root: Path, tmp_path: Path) -> Open:
    return Open(root, tmp_path / "engines")


def silent(_step: str, _done: int, _total: int) -> None:
    pass


def add_plan(root: Path, **changes: object) -> Plan:
    """Put an INT8 plan built here into the bundle, its record changed."""
    library = open_library("tensorrt")
    plan = build_plan(library, colour_model(), BuildOptions("int8"), find_machine(), silent)
    record = replace(plan.record, **changes)  # type: ignore[arg-type]
    manifest = json.loads((root / "manifest.json").read_bytes())
    needs = {"backend": "tensorrt", "record": "engines/int8.json"}
    facts = json.dumps(record.to_dict()).encode()
    put(root, manifest, "engines/int8.json", facts, role=ROLE_RECORD, requires=needs)
    put(
        root,
        manifest,
        "engines/int8.plan",
        plan.content,
        role=ROLE_ENGINE,
        precision="int8",
        requires=needs,
    )
    write_manifest(root, manifest)
    return plan


def test_auto_builds_both_precisions_once_and_keeps_them(opened: Open, gpu: FakeGpu) -> None:
    assert opened().startswith("tensorrt ")
    assert len(gpu.builds) == 2
    assert {"building int8 engine", "building fp16 engine"} <= set(opened.steps)
    assert "one image: int8" in opened.said[-1]
    opened()
    assert len(gpu.builds) == 2
    assert gpu.allocations == 0


def test_auto_takes_a_plan_of_the_bundle_that_fits(opened: Open, gpu: FakeGpu) -> None:
    add_plan(opened.root)
    gpu.builds.clear()
    assert opened(precision="int8") == "tensorrt int8"
    assert gpu.builds == []
    assert opened.graph == "engines/int8.plan"


def test_graph_of_a_session_is_the_model_graph_also_where_it_runs_a_plan(
    opened: Open, gpu: FakeGpu
) -> None:
    for backend, has_plan in (("onnxruntime", False), ("tensorrt", False), ("tensorrt", True)):
        if has_plan:
            add_plan(opened.root)
        opened(backend, "int8")
        expected = "model.int8.onnx" if backend == "onnxruntime" else "model.int8.trt.onnx"
        assert (opened.graph == "engines/int8.plan") == has_plan
        assert opened.model == expected
    assert gpu.allocations == 0


def test_labeller_on_a_plan_takes_the_temperature_of_its_graph(
    opened: Open, gpu: FakeGpu, colour_jpeg: Jpeg
) -> None:
    add_plan(opened.root)
    image = ImageFile(Path("a.jpg"), colour_jpeg("green"), None)
    confidences = []
    for temperature in ({}, {"model.int8.trt.onnx": 20.0}, {"model.int8.onnx": 20.0}):
        manifest = json.loads((opened.root / "manifest.json").read_bytes())
        write_manifest(opened.root, {**manifest, "temperature": temperature})
        bundle = load_bundle(opened.root)
        session = open_session(bundle, backend="tensorrt", precision="int8")
        assert session.graph == "engines/int8.plan"
        decision = golden_labeller(bundle, session).label(image).decision
        session.close()
        assert decision is not None
        confidences.append(decision.confidence)
    plain, of_graph, of_other = confidences
    assert of_graph < plain == of_other
    assert gpu.allocations == 0


def test_graph_of_a_plan_from_a_graph_that_the_bundle_does_not_hold_is_refused(
    opened: Open, gpu: FakeGpu
) -> None:
    add_plan(opened.root, graph_sha256="0" * 64)
    with pytest.raises(BundleError, match=r"does not hold\. Build the engine again"):
        opened("tensorrt", "int8")
    assert gpu.allocations == 0


def test_a_plan_of_the_bundle_that_does_not_fit_is_told_and_built_anew(
    opened: Open, gpu: FakeGpu
) -> None:
    add_plan(opened.root, compute_capabilities=("8.6",), library_version="10.1.0")
    gpu.builds.clear()
    assert opened(precision="int8") == "tensorrt int8"
    assert len(gpu.builds) == 1
    assert opened.graph == "model.int8.trt.onnx"
    assert "engines/int8.plan does not fit this machine" in opened.said[0]
    assert "10.1.0" in opened.said[0]
    assert "8.6" in opened.said[0]


def test_a_changed_plan_is_never_given_to_the_library(
    opened: Open, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_plan(opened.root)
    seen: list[bytes] = []
    runtime = open_library("tensorrt").module.Runtime
    monkeypatch.setattr(runtime, "deserialize_cuda_engine", lambda _self, plan: seen.append(plan))
    bundle = load_bundle(opened.root)
    (opened.root / "engines/int8.plan").write_bytes(b"other code")
    with pytest.raises(BundleError, match=r"int8\.plan is not the file"):
        open_session(bundle, backend="tensorrt", precision="int8")
    assert seen == []
    assert gpu.allocations == 0


@pytest.mark.parametrize(
    ("damage", "builds"),
    [
        (lambda folder: next(folder.glob("*.plan")).write_bytes(b"other"), 1),
        (lambda folder: next(folder.glob("*.json")).write_bytes(b"{"), 1),
        (lambda folder: folder.chmod(0o777), 2),
        (lambda _folder: None, 0),
    ],
    ids=["plan changed", "record damaged", "others may write", "untouched"],
)
def test_a_kept_plan_is_used_only_where_it_can_be_trusted(
    opened: Open, gpu: FakeGpu, damage: Callable[[Path], object], builds: int
) -> None:
    opened()
    gpu.builds.clear()
    damage(opened.cache)
    opened()
    assert len(gpu.builds) == builds


def test_another_gpu_or_library_gets_a_plan_of_its_own(
    opened: Open, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(precision="int8")
    gpu.name = "Fake RTX 6000"
    opened(precision="int8")
    fake_gpu.install(monkeypatch, gpu, version="11.4.0")
    opened(precision="int8")
    assert len(gpu.builds) == 3
    assert len(list(opened.cache.glob("*.plan"))) == 3


def test_a_cache_that_cannot_be_written_costs_a_build_and_no_start(
    opened: Open, gpu: FakeGpu
) -> None:
    opened.cache.write_bytes(b"a file is in the way")
    assert opened(precision="int8") == "tensorrt int8"
    assert opened(precision="int8") == "tensorrt int8"
    assert len(gpu.builds) == 2


def test_nothing_is_written_where_nothing_may_be_kept(
    root: Path, gpu: FakeGpu, tmp_path: Path
) -> None:
    opening = Opening(cache=tmp_path / "engines", keeps_plans=False)
    open_session(load_bundle(root), opening=opening).close()
    assert not (tmp_path / "engines").exists()
    assert gpu.allocations == 0


def test_auto_leaves_out_an_engine_that_fails_the_golden_images(
    small_bundle: Path, gpu: FakeGpu, tmp_path: Path
) -> None:
    # The FP16 graph of this bundle gives all images the same logits: twice the wrong factor.
    wrong = colour_model().replace(b"\xcd\xcc\xcc=", b"\xcd\xccL\xbe")
    assert wrong != colour_model()
    opened = Open(add_tensorrt_graphs(small_bundle, fp16=wrong), tmp_path / "engines")
    assert opened() == "tensorrt int8"
    assert any("golden image" in text for text in opened.said)
    assert gpu.allocations == 0


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (("tensorrt", "tensorrt_bindings"), "no tensorrt: tensorrt cannot be loaded"),
        (("pycuda", "pycuda.driver"), "no tensorrt: pycuda cannot be loaded"),
    ],
)
def test_auto_without_a_package_uses_the_cpu_and_says_why(
    opened: Open,
    gpu: FakeGpu,
    monkeypatch: pytest.MonkeyPatch,
    missing: tuple[str, ...],
    told: str,
) -> None:
    fake_gpu.uninstalled(monkeypatch, *missing, "tensorrt_rtx")
    assert opened().startswith("onnxruntime-cpu")
    assert any(text.startswith(told) for text in opened.said)
    assert gpu.allocations == 0


def test_auto_without_a_driver_says_that_alone(
    opened: Open, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.backends.select.has_driver", lambda: False)
    fake_gpu.uninstalled(monkeypatch, "tensorrt", "tensorrt_bindings", "tensorrt_rtx")
    assert opened().startswith("onnxruntime-cpu")
    assert opened.said[0] == "no GPU is used: there is no NVIDIA driver on this machine"
    assert all(text.startswith("onnxruntime-cpu") for text in opened.said[1:])
    assert gpu.allocations == 0


def test_auto_on_a_gpu_that_cannot_build_uses_the_cpu(opened: Open, gpu: FakeGpu) -> None:
    gpu.lost = True
    assert opened().startswith("onnxruntime-cpu")
    assert any("out of memory" in text for text in opened.said)


def test_auto_with_a_bundle_without_graphs_uses_the_cpu(
    small_bundle: Path, gpu: FakeGpu, tmp_path: Path
) -> None:
    opened = Open(small_bundle, tmp_path / "engines")
    assert opened().startswith("onnxruntime-cpu")
    assert any("holds no int8 graph" in text for text in opened.said)
    assert gpu.builds == []


def test_tensorrt_8_without_its_graph_is_told_which_flag_gives_it(
    opened: Open, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_gpu.install(monkeypatch, gpu, version="8.6.1")
    with pytest.raises(BundleError, match="--tensorrt8"):
        opened("tensorrt", "int8")


def test_a_gpu_asked_for_that_is_not_there_is_an_error(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_gpu.install(monkeypatch, FakeGpu())
    fake_gpu.uninstalled(monkeypatch, "tensorrt", "tensorrt_bindings")
    with pytest.raises(BackendError, match="tensorrt cannot be loaded"):
        opened("tensorrt")


def test_the_kept_folder_belongs_to_this_user_alone(opened: Open, gpu: FakeGpu) -> None:
    opened()
    assert opened.cache.stat().st_mode & 0o777 == 0o700
    assert PlanCache(opened.cache).is_trusted()
    assert gpu.builds


def test_a_bundle_without_a_model_for_this_processor_is_an_error(root: Path) -> None:
    bundle = replace(load_bundle(root), artefacts=())
    with pytest.raises(BundleError, match="holds no model for onnxruntime"):
        open_session(bundle, backend="onnxruntime")
