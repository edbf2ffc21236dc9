"""Tests for daemon.health.metrics: read back with the library's own parser."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.health.health import Health, Queue
from daemon.health.metrics import Metrics
from daemon.image.records import ClaimedImage, Dropped, Finished, ImageVersion, Postponed
from edge.errors import RejectReason
from edge.labeller import ImageFacts, Outcome, Timing, rejected
from edge.postprocess import Decision
from edge.sidecar import ModelFacts
from edge.status import Status
from edge.trust.familiarity import Familiarity

MODEL = ModelFacts(
    "colours", "1", "ab" * 32, "int8", "onnxruntime-cpu", "model.int8.onnx", ("red", "green")
)
NOW_S = 1_800_000_000.0


def claimed(recorded_at: float | None = NOW_S - 2) -> ClaimedImage:
    version = ImageVersion(1, b"SECRET-4711/1/a.jpg", 10, 1)
    return ClaimedImage(1, version, recorded_at=recorded_at)


def labelled(*, infer_ms: float = 4.0) -> Outcome:
    decision = Decision("red", 0.9, {"red": 0.9}, is_identified=True)
    timing = Timing(infer=infer_ms)
    return Outcome(Status.LABELLED, ImageFacts("ab" * 32, 10), timing, decision)


def values(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels, in the order of their names."""
    families = text_string_to_metric_families(metrics.text().decode())
    samples = [sample for family in families for sample in family.samples]
    return {(s.name, *(v for _, v in sorted(s.labels.items()))): s.value for s in samples}


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def metrics(health: Health) -> Metrics:
    return Metrics(health, [Path("/srv/a"), Path("/srv/b")], wall_clock=lambda: NOW_S)


def test_finished_counts_each_kind_of_verdict(metrics: Metrics) -> None:
    reject = rejected(RejectReason.CORRUPT, "SECRET-4711 is broken", ImageFacts())
    metrics.finished(
        [
            Finished(claimed(), labelled()),
            Finished(claimed(), reject),
            Postponed(claimed(), 1.0, 1, "SECRET-4711"),
            Dropped(claimed(), "gone"),
        ]
    )
    found = values(metrics)
    assert found["microscope_edge_images_total", "labelled"] == 1
    assert found["microscope_edge_images_total", "unidentified"] == 0
    assert found["microscope_edge_labels_total", "red"] == 1
    assert found["microscope_edge_rejections_total", "corrupt"] == 1
    assert found["microscope_edge_rejections_total", "too_large"] == 0
    assert found["microscope_edge_postponed_total",] == 1
    assert found["microscope_edge_dropped_total", "gone"] == 1
    # A rejected image has an outcome after some time too, but none of it in the model.
    assert found["microscope_edge_latency_seconds_sum",] == 4.0
    assert found["microscope_edge_infer_seconds_count",] == 1
    assert found["microscope_edge_infer_seconds_bucket", "0.005"] == 1
    assert b"SECRET" not in metrics.text()


def test_finished_counts_images_unlike_the_laboratorys_by_their_reason(metrics: Metrics) -> None:
    strange = Familiarity(9.0, 3.0, passes=False, reason="too_dark", shift=9.0)
    usual = Familiarity(0.0, 3.0, passes=True, reason=None, shift=0.0)
    for familiarity in (strange, usual, None):
        metrics.finished([Finished(claimed(), replace(labelled(), familiarity=familiarity))])
    found = values(metrics)
    assert found["microscope_edge_unfamiliar_total", "too_dark"] == 1
    assert found["microscope_edge_unfamiliar_total", "stain"] == 0


def test_finished_after_the_clock_was_set_back_counts_no_negative_latency(
    metrics: Metrics,
) -> None:
    metrics.finished([Finished(claimed(NOW_S + 3600), labelled())])
    assert values(metrics)["microscope_edge_latency_seconds_sum",] == 0.0


def test_text_of_two_services_in_one_process_is_not_added_up(health: Health) -> None:
    first, second = Metrics(health), Metrics(health)
    first.finished([Finished(claimed(), labelled())])
    assert values(first)["microscope_edge_images_total", "labelled"] == 1
    assert values(second)["microscope_edge_images_total", "labelled"] == 0


def test_text_tells_state_at_the_moment_of_the_scrape(metrics: Metrics, health: Health) -> None:
    assert values(metrics)["microscope_edge_up",] == 1
    health.set_model(MODEL, failed_over=True)
    health.set("journal", ok=False, reason="the disk is full")
    health.set_queue(Queue(waiting=7, oldest_waiting_s=12.5))
    health.known_image_passed()
    metrics.add_labels(MODEL)
    health.set_watch(1, is_there=False, has_events=True)
    metrics.set_journal_bytes(4096)
    metrics.rows_deleted(3)
    found = values(metrics)
    assert found["microscope_edge_up",] == 0
    assert found["microscope_edge_part_ok", "journal"] == 0
    assert found["microscope_edge_failed_over",] == 1
    assert found["microscope_edge_backlog_images", "waiting"] == 7
    assert found["microscope_edge_oldest_waiting_seconds",] == 12.5
    assert found["microscope_edge_labels_total", "green"] == 0
    assert found["microscope_edge_watch_folder_info", "/srv/b", "1"] == 1
    assert found["microscope_edge_watch_folder_there", "1"] == 0
    assert found["microscope_edge_watch_folder_events", "1"] == 1
    assert found["microscope_edge_journal_bytes",] == 4096
    assert found["microscope_edge_retention_deleted_total",] == 3
    assert found["microscope_edge_canary_age_seconds",] < 5
    model = ("onnxruntime-cpu", "ab" * 32, "model.int8.onnx", "colours", "int8", "1")
    assert found["microscope_edge_model_info", *model] == 1


def test_text_has_process_metrics_without_proc_stat(monkeypatch: pytest.MonkeyPatch) -> None:
    # ProcSubset=pid of the unit hides /proc/stat, and with it the library's own collector.
    real_open = open

    def hidden(file: object, *args: object, **kwargs: object) -> object:
        if file == "/proc/stat":
            raise FileNotFoundError(2, "hidden", file)
        return real_open(file, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", hidden)
    found = values(Metrics(Health()))
    assert found["process_resident_memory_bytes",] > 10e6
    assert abs(found["process_open_fds",] - len(os.listdir("/proc/self/fd"))) <= 1  # noqa: PTH208
    assert found["process_max_fds",] > 0
    assert found["process_cpu_seconds_total",] > 0


def test_text_shows_no_control_character_of_a_folder() -> None:
    folder = Path("/exp\x1b[2J\n\udc80ort")
    text = Metrics(Health(), [folder]).text().decode()
    assert r'folder="/exp\\x1b[2J\\n\\x80ort"' in text
    assert "\x1b" not in text
