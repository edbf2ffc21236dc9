"""GPU to CPU and back, in a whole running service, against the fake GPU."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.health.stages import Stages
from daemon.model import gpu_return
from daemon.model.current_model import CurrentModel
from daemon.model.gpu_return import RETURN_AFTER_S, GpuReturn
from daemon.model.open_model import Model, open_model
from daemon.startup import opened_service
from daemon.worker_threads import StopRequest
from edge.bundle import Bundle, load_bundle
from edge.errors import BackendError, BundleError, DeviceError
from edge.image_files.read import ImageLimits, decode_image
from edge.labeller import Outcome
from tests.support.fake_gpu import FakeGpu
from tests.support.images import Jpeg
from tests.support.site import Site, backend_of
from tests.support.waiting import until


def test_a_gpu_that_is_lost_hands_over_to_the_cpu_and_no_image_is_lost(
    gpu_site: Site,
    gpu: FakeGpu,
    colour_jpeg: Jpeg,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with gpu_site.running():
        gpu_site.add("S1/A/1.jpg", colour_jpeg("red"))
        until(lambda: gpu_site.has_sidecar("S1/A/1.jpg"))
        gpu.lost = True
        for number in range(2, 12):
            gpu_site.add(f"S1/A/{number}.jpg", colour_jpeg("blue", seed=number))
        until(lambda: all(gpu_site.has_sidecar(f"S1/A/{n}.jpg") for n in range(2, 12)))
    assert backend_of(gpu_site, "S1/A/1.jpg") == "tensorrt"
    assert {backend_of(gpu_site, f"S1/A/{n}.jpg") for n in range(2, 12)} == {"onnxruntime-cpu"}
    assert {row[1:3] for row in gpu_site.outcomes().values()} == {
        ("labelled", "red"),
        ("labelled", "blue"),
    }
    said = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert sum("the CPU labels from now on" in text for text in said) == 1


def test_a_gpu_that_begins_to_label_wrongly_is_given_up_by_the_known_image(
    gpu_site: Site, gpu: FakeGpu
) -> None:
    with opened_service(gpu_site.config()) as service:
        supervisor = service.supervisor
        assert supervisor is not None
        watched = supervisor.watched
        before = watched.current_model.model.session.backend
        gpu.swapped_above = 0
        for _ in range(3):
            watched.known_image.pass_once()
        assert (before, watched.current_model.model.session.backend) == (
            "tensorrt",
            "onnxruntime-cpu",
        )
        assert watched.known_image.step == "passed"


def test_a_lost_gpu_that_was_asked_for_by_name_ends_the_service_with_its_images_waiting(
    gpu_site: Site, gpu: FakeGpu, colour_jpeg: Jpeg
) -> None:
    gpu_site.settings["backend"] = "tensorrt"
    gpu_site.add("S1/A/1.jpg", colour_jpeg("red"))
    with opened_service(gpu_site.config()) as service:
        gpu.lost = True
        with pytest.raises(DeviceError):
            service.run()
    assert gpu_site.outcomes()["S1/A/1.jpg"][0] == "waiting"
    assert not gpu_site.has_sidecar("S1/A/1.jpg")


def test_a_named_gpu_that_fails_at_every_start_is_held_against_no_image(
    gpu_site: Site,
    gpu: FakeGpu,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("daemon.model.label_job.INTERRUPTION_LIMIT", 2)
    gpu_site.settings["backend"] = "tensorrt"
    gpu_site.add("S1/A/1.jpg", colour_jpeg("red"))
    for _ in range(4):
        gpu.lost = False
        with opened_service(gpu_site.config()) as service:
            gpu.lost = True
            with pytest.raises(DeviceError):
                service.run()
        assert gpu_site.outcomes()["S1/A/1.jpg"][0] == "waiting"
    gpu.lost = False
    with gpu_site.running():
        until(lambda: gpu_site.has_sidecar("S1/A/1.jpg"))
    assert gpu_site.sidecar("S1/A/1.jpg")["label"] == "red"


class Seat:
    """A current_model on the fake GPU with a clock to turn."""

    def __init__(self, site: Site) -> None:
        self.now_s = 1000.0
        self.config = site.config()
        self.config.state_dir.mkdir(exist_ok=True)
        self.opened = 0
        self.current_model = CurrentModel(
            self.open("auto"), self.open, may_fail_over=True, clock=lambda: self.now_s
        )
        self.stop_request = StopRequest()
        self.trials = 0
        self.before_child_ends: Callable[[], object] = lambda: None
        self.child_works = True
        self.back = GpuReturn(
            self.current_model,
            self.open,
            self.works_in_child,
            self.stop_request.make,
            clock=lambda: self.now_s,
        )

    def works_in_child(self, _: Bundle) -> bool:
        self.trials += 1
        self.before_child_ends()
        return self.child_works

    def open(self, backend: str, bundle: Bundle | None = None) -> Model:
        self.opened += 1
        return open_model(self.config, backend=backend, bundle=bundle, stages=Stages())

    def check(self) -> None:
        self.back.check()
        until(lambda: all(thread.name != "gpu-trial" for thread in threading.enumerate()))


@pytest.fixture
def current_model(gpu_site: Site, gpu: FakeGpu) -> Seat:
    assert not gpu.lost
    return Seat(gpu_site)


def test_a_named_precision_that_the_cpu_lacks_keeps_it_from_nothing(
    gpu_site: Site,
    gpu: FakeGpu,
    colour_jpeg: Jpeg,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "daemon")
    gpu_site.settings["precision"] = "fp16"
    with gpu_site.running():
        gpu_site.add("S1/A/1.jpg", colour_jpeg("red"))
        until(lambda: gpu_site.has_sidecar("S1/A/1.jpg"))
        gpu.lost = True
        gpu_site.add("S1/A/2.jpg", colour_jpeg("blue"))
        until(lambda: gpu_site.has_sidecar("S1/A/2.jpg"))
    # A start that finds the GPU lost.
    with gpu_site.running():
        gpu_site.add("S1/A/3.jpg", colour_jpeg("green"))
        until(lambda: gpu_site.has_sidecar("S1/A/3.jpg"))
    models = [gpu_site.sidecar(f"S1/A/{number}.jpg")["model"] for number in (1, 2, 3)]
    assert (models[0]["backend"], models[0]["precision"]) == ("tensorrt", "fp16")
    assert {model["backend"] for model in models[1:]} == {"onnxruntime-cpu"}
    assert {model["precision"] for model in models[1:]} <= {"int8", "fp32"}
    assert caplog.text.count("holds no fp16 model for the CPU") == 2


def test_a_named_precision_that_the_named_back_end_lacks_is_an_error(gpu_site: Site) -> None:
    gpu_site.settings.update(backend="onnxruntime", precision="fp16")
    with pytest.raises(BundleError, match="holds no fp16 model for onnxruntime"):
        open_model(gpu_site.config())


def test_a_takeover_that_fails_ends_the_service_with_what_failed_and_why(
    gpu_site: Site,
    gpu: FakeGpu,
    colour_jpeg: Jpeg,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BundleError("ONNX Runtime cannot load the model: no memory")

    gpu_site.add("S1/A/1.jpg", colour_jpeg("red"))
    with opened_service(gpu_site.config()) as service:
        monkeypatch.setattr("edge.backends.select.open_onnx", refuse)
        gpu.lost = True
        with pytest.raises(BackendError) as caught:
            service.run()
    assert gpu_site.outcomes()["S1/A/1.jpg"][0] == "waiting"
    assert "CPU cannot take over" in str(caught.value)
    assert "ONNX Runtime cannot load the model: no memory" in str(caught.value)
    assert isinstance(caught.value.__cause__, BackendError)
    assert str(caught.value.__cause__) in str(caught.value)
    assert "the CPU labels from now on" not in caplog.text


def lose(current_model: Seat, gpu: FakeGpu) -> None:
    gpu.lost = True
    current_model.current_model.fail_over(current_model.current_model.model, DeviceError("lost"))


def test_the_gpu_is_tried_again_after_a_while_and_takes_over(
    current_model: Seat, gpu: FakeGpu
) -> None:
    lose(current_model, gpu)
    gpu.lost = False
    current_model.check()
    current_model.now_s += RETURN_AFTER_S - 1
    current_model.check()
    assert (current_model.trials, current_model.current_model.is_on_gpu) == (0, False)
    current_model.now_s += 2
    current_model.check()
    assert (current_model.trials, current_model.current_model.is_on_gpu) == (1, True)
    current_model.now_s += 10 * RETURN_AFTER_S
    current_model.check()
    assert current_model.trials == 1


def test_a_gpu_that_is_still_broken_leaves_the_cpu_at_work(
    current_model: Seat, gpu: FakeGpu
) -> None:
    lose(current_model, gpu)
    current_model.child_works = False
    for _ in range(3):
        current_model.now_s += RETURN_AFTER_S + 1
        current_model.check()
    assert (current_model.trials, current_model.current_model.is_on_gpu) == (3, False)
    assert not current_model.stop_request.is_made


def test_a_trial_that_outlives_its_service_opens_nothing(current_model: Seat, gpu: FakeGpu) -> None:
    lose(current_model, gpu)
    gpu.lost = False
    current_model.current_model.close()
    opened = current_model.opened
    current_model.back.try_once()
    assert (current_model.trials, current_model.opened) == (1, opened)
    assert not current_model.stop_request.is_made


def test_a_model_that_comes_after_the_end_of_the_service_is_closed(
    current_model: Seat, gpu: FakeGpu
) -> None:
    lose(current_model, gpu)
    gpu.lost = False
    model = current_model.open("auto")
    current_model.current_model.close()
    allocations = gpu.allocations
    current_model.current_model.replace(model)
    assert gpu.allocations < allocations
    assert not current_model.current_model.is_on_gpu
    assert current_model.current_model.failed_over_since_s is not None


def test_a_device_that_fails_after_the_end_of_the_service_is_replaced_by_nothing(
    current_model: Seat, gpu: FakeGpu
) -> None:
    current_model.current_model.close()
    with pytest.raises(DeviceError, match="lost"):
        lose(current_model, gpu)
    assert current_model.current_model.failed_over_since_s is None


def test_a_gpu_that_works_in_another_process_alone_ends_this_one(
    current_model: Seat, gpu: FakeGpu
) -> None:
    lose(current_model, gpu)
    current_model.now_s += RETURN_AFTER_S + 1
    current_model.check()
    assert current_model.stop_request.is_made
    with pytest.raises(BackendError, match="not in this process"):
        current_model.stop_request.raise_error()


def test_the_probe_says_no_where_there_is_no_gpu(gpu_site: Site) -> None:
    # A real child process, which sees no fake.
    config = gpu_site.config()
    assert not gpu_return.works_in_child(config, load_bundle(config.bundle))


def label_with_another_model_seated_meanwhile(
    current_model: Seat, path: Path, change: Callable[[], None]
) -> str:
    """A worker holds the model that `change` closes; which back end gave the label."""
    with pytest.MonkeyPatch.context() as patch:

        def decode_late(content: bytes, limits: ImageLimits) -> NDArray[np.uint8]:
            # Only this image: the change decodes golden images.
            patch.undo()
            pixels = decode_image(content, limits)
            change()
            return pixels

        patch.setattr("edge.labeller.decode_image", decode_late)
        (outcome,), facts = current_model.current_model.label_batch([path])
    assert isinstance(outcome, Outcome)
    assert outcome.decision is not None
    assert outcome.decision.label == "red"
    return facts.backend


def test_an_image_in_work_while_the_gpu_is_given_up_is_labelled_on_the_cpu(
    current_model: Seat, gpu: FakeGpu, gpu_site: Site, colour_jpeg: Jpeg
) -> None:
    path = gpu_site.add("a.jpg", colour_jpeg("red"))
    backend = label_with_another_model_seated_meanwhile(
        current_model, path, lambda: lose(current_model, gpu)
    )
    assert backend == "onnxruntime-cpu"


def test_an_image_in_work_while_the_gpu_comes_back_is_labelled_on_the_gpu(
    current_model: Seat, gpu: FakeGpu, gpu_site: Site, colour_jpeg: Jpeg
) -> None:
    path = gpu_site.add("a.jpg", colour_jpeg("red"))
    lose(current_model, gpu)
    gpu.lost = False

    def come_back() -> None:
        current_model.now_s += RETURN_AFTER_S + 1
        current_model.check()
        current_model.now_s += RETURN_AFTER_S + 1
        current_model.check()

    assert label_with_another_model_seated_meanwhile(current_model, path, come_back) == "tensorrt"


def test_a_session_that_does_not_work_and_was_not_replaced_is_reported(
    current_model: Seat, gpu_site: Site, colour_jpeg: Jpeg
) -> None:
    path = gpu_site.add("a.jpg", colour_jpeg("red"))
    current_model.current_model.close()
    with pytest.raises(BackendError, match="closed"):
        current_model.current_model.label_batch([path])


def test_failover_without_a_gpu_raises_what_happened(site: Site) -> None:
    config = site.config()
    config.state_dir.mkdir()
    model = open_model(config)
    current_model = CurrentModel(model, lambda *_: model, may_fail_over=True)
    with pytest.raises(DeviceError, match="broken"):
        current_model.fail_over(model, DeviceError("broken"))
