"""Another bundle comes into the folder while the one before labels, and is not reloaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.model.gpu_return import RETURN_AFTER_S
from daemon.model.open_model import open_model
from edge.backends.probe import main as probe
from edge.bundle import load_bundle, seal
from edge.errors import BundleError
from tests.daemon.model.seat import Seat, lose
from tests.support.fake_gpu import FakeGpu
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


def put_another(bundle: Path) -> None:
    """A whole bundle that names every class otherwise: its labels are wrong for the one before."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    content = json.dumps({**manifest, "version": "2", "classes": ["green", "blue", "red"]}).encode()
    (bundle / "manifest.json").write_bytes(content)
    (bundle / "manifest.sha256").write_bytes(seal(content))


def take_away(bundle: Path) -> None:
    shutil.rmtree(bundle)


def halve_the_graphs(bundle: Path) -> None:
    """As while it is copied over."""
    for path in bundle.glob("*.onnx"):
        path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("change", [put_another, take_away, halve_the_graphs])
def test_failover_labels_with_the_bundle_that_was_loaded(
    gpu_site: Site,
    gpu: FakeGpu,
    colour_jpeg: Jpeg,
    change: Callable[[Path], None],
) -> None:
    with gpu_site.running():
        gpu_site.add("S1/A/1.jpg", colour_jpeg("red"))
        until(lambda: gpu_site.has_sidecar("S1/A/1.jpg"))
        change(gpu_site.config().bundle)
        gpu.lost = True
        gpu_site.add("S1/A/2.jpg", colour_jpeg("blue"))
        until(lambda: gpu_site.has_sidecar("S1/A/2.jpg"))
    before, after = (gpu_site.sidecar(f"S1/A/{number}.jpg") for number in (1, 2))
    assert (before["label"], after["label"]) == ("red", "blue")
    assert (before["model"]["backend"], after["model"]["backend"]) == (
        "tensorrt",
        "onnxruntime-cpu",
    )
    assert after["model"]["version"] == "1"
    assert after["model"]["bundle_sha256"] == before["model"]["bundle_sha256"]
    assert before["model"]["graph"].endswith(".trt.onnx")
    assert after["model"]["graph"] in ("model.int8.onnx", "model.fp32.onnx")


def test_gpu_does_not_come_back_with_another_bundle_and_it_is_said_once(
    gpu_site: Site, gpu: FakeGpu, caplog: pytest.LogCaptureFixture
) -> None:
    current_model = Seat(gpu_site)
    bundle = current_model.config.bundle
    saved = bundle.parent / "saved"
    shutil.copytree(bundle, saved)
    lose(current_model, gpu)
    gpu.lost = False
    put_another(bundle)
    for _ in range(3):
        current_model.now_s += RETURN_AFTER_S + 1
        current_model.check()
    assert (current_model.trials, current_model.current_model.is_on_gpu) == (0, False)
    assert current_model.current_model.model.facts.version == "1"
    assert caplog.text.count("holds another bundle than the one in use. Reload the service") == 1
    # The one before is put back.
    shutil.rmtree(bundle)
    saved.rename(bundle)
    current_model.now_s += RETURN_AFTER_S + 1
    current_model.check()
    assert (current_model.trials, current_model.current_model.is_on_gpu) == (1, True)


def test_gpu_that_came_back_can_fail_over_again_without_the_folder(
    gpu_site: Site, gpu: FakeGpu
) -> None:
    current_model = Seat(gpu_site)
    lose(current_model, gpu)
    gpu.lost = False
    current_model.now_s += RETURN_AFTER_S + 1
    current_model.check()
    models = [current_model.current_model.model]
    take_away(current_model.config.bundle)
    lose(current_model, gpu)
    models.append(current_model.current_model.model)
    found = [(model.facts.backend, model.facts.version) for model in models]
    assert found == [("tensorrt", "1"), ("onnxruntime-cpu", "1")]


def test_bundle_replaced_between_the_child_and_this_process_is_not_opened(
    gpu_site: Site, gpu: FakeGpu
) -> None:
    current_model = Seat(gpu_site)
    lose(current_model, gpu)
    gpu.lost = False
    current_model.before_child_ends = lambda: halve_the_graphs(current_model.config.bundle)
    current_model.back.try_once()
    assert not current_model.current_model.is_on_gpu
    assert not current_model.stop_request.is_made


def test_child_does_not_try_another_bundle(gpu_site: Site, gpu: FakeGpu, tmp_path: Path) -> None:
    bundle = load_bundle(gpu_site.config().bundle)
    arguments = [str(bundle.root), "--cache", str(tmp_path / "engines"), "--sha256"]
    assert probe([*arguments, bundle.sha256]) == 0
    builds = len(gpu.builds)
    put_another(bundle.root)
    assert probe([*arguments, bundle.sha256]) == BundleError.exit_code
    assert len(gpu.builds) == builds == 2


def test_model_on_the_cpu_keeps_no_graph_in_memory(site: Site) -> None:
    model = open_model(site.config())
    assert set(model.bundle.in_memory) == {f"golden/{number:02}.jpg" for number in range(3)}
