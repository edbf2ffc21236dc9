"""Tests for daemon.model.gpu_return: the GPU is tried again, and taken back where it works."""

from __future__ import annotations

import pytest

from daemon.model import gpu_return
from daemon.model.gpu_return import RETURN_AFTER_S
from edge.bundle import load_bundle
from edge.errors import BackendError, DeviceError
from tests.daemon.model.seat import Seat, label_with_another_model_seated_meanwhile, lose
from tests.support.fake_gpu import FakeGpu
from tests.support.images import Jpeg
from tests.support.site import Site


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
