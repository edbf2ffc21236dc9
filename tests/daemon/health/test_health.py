"""Tests for daemon.health.health: what counts as well, degraded, failing."""

from __future__ import annotations

from daemon.health.health import KNOWN_IMAGE_STALE_AFTER_S, Health, HealthStatus, Queue
from edge.sidecar import ModelFacts

MODEL = ModelFacts(
    "cells8", "1.0", "ab" * 32, "int8", "onnxruntime-cpu", "model.int8.onnx", ("neutrophil",)
)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_report_of_nothing_known_is_ok() -> None:
    report = Health().report()
    assert (report.status, report.reasons) == (HealthStatus.OK, ())


def test_report_with_a_vital_part_not_well_is_failing_until_it_is_well() -> None:
    health = Health()
    health.set("inference", ok=False, reason="the model hangs")
    assert health.report().status is HealthStatus.FAILING
    assert health.report().reasons == ("inference: the model hangs",)
    health.set("inference", ok=True, reason="left over")
    assert health.report().status is HealthStatus.OK
    assert health.report().parts["inference"].reason == ""


def test_report_with_a_part_not_well_that_is_not_vital_is_degraded() -> None:
    health = Health()
    health.set("metrics", ok=False, is_vital=False)
    assert health.report().status is HealthStatus.DEGRADED
    assert health.report().reasons == ("metrics: not working",)


def test_report_on_the_cpu_in_place_of_a_gpu_is_degraded() -> None:
    health = Health()
    health.set_model(MODEL, failed_over=True)
    assert health.report().status is HealthStatus.DEGRADED
    assert health.report().to_dict()["failed_over"] is True
    health.set_model(MODEL)
    assert health.report().status is HealthStatus.OK


def test_report_whose_known_image_is_old_is_failing_though_nobody_has_said_so() -> None:
    clock = Clock()
    health = Health(clock=clock)
    health.known_image_passed()
    clock.now_s += KNOWN_IMAGE_STALE_AFTER_S
    assert health.report().status is HealthStatus.OK
    clock.now_s += 1
    assert health.report().status is HealthStatus.FAILING
    assert health.report().reasons == ("canary: the known image has not got its label for 31 s",)
    health.known_image_passed()
    assert health.report().to_dict()["canary_age_s"] == 0.0


def test_report_counts_settling_images_with_the_backlog() -> None:
    health = Health()
    health.set_settling(2)
    health.set_queue(Queue(waiting=3, claimed=4, oldest_waiting_s=1.25))
    fields = health.report().to_dict()
    assert (fields["backlog"], fields["settling"], fields["oldest_waiting_s"]) == (9, 2, 1.2)


def test_report_of_a_watch_folder_that_is_away_is_degraded_and_names_its_number() -> None:
    health = Health()
    health.set_watch(0, is_there=True, has_events=False)
    assert health.report().status is HealthStatus.OK
    health.set_watch(1, is_there=False, has_events=False)
    assert health.report().status is HealthStatus.DEGRADED
    assert health.report().reasons == ("watch-1: the folder or its share is away",)
    health.set_watch(1, is_there=True, has_events=True)
    assert health.report().status is HealthStatus.OK


def test_report_of_a_watch_folder_that_does_not_answer_is_degraded_and_not_there() -> None:
    health = Health()
    health.set_watch(1, is_there=True, has_events=True, answers=False)
    assert health.report().status is HealthStatus.DEGRADED
    assert health.report().reasons == ("watch-1: the folder or its share does not answer",)
    assert health.report().to_dict()["watch"] == [{"number": 1, "there": False, "events": True}]
    health.set_watch(1, is_there=True, has_events=True)
    assert health.report().status is HealthStatus.OK
