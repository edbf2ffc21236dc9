"""GPU to CPU and back, in a whole running service, against the fake GPU."""

from __future__ import annotations

import logging

import pytest

from daemon.model.current_model import CurrentModel
from daemon.model.open_model import open_model
from daemon.startup import opened_service
from edge.errors import BackendError, BundleError, DeviceError
from tests.daemon.model.seat import Seat, label_with_another_model_seated_meanwhile, lose
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


def test_an_image_in_work_while_the_gpu_is_given_up_is_labelled_on_the_cpu(
    current_model: Seat, gpu: FakeGpu, gpu_site: Site, colour_jpeg: Jpeg
) -> None:
    path = gpu_site.add("a.jpg", colour_jpeg("red"))
    backend = label_with_another_model_seated_meanwhile(
        current_model, path, lambda: lose(current_model, gpu)
    )
    assert backend == "onnxruntime-cpu"


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
