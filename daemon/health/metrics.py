"""Metrics in Prometheus' text format. None holds the name of an image or a sample id."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon.health.health import Health, HealthStatus, Watch
from daemon.image.passed_over import Reason
from daemon.image.records import Dropped, Finished, Postponed, Unchanged, Verdict
from daemon.log.journald import LEVELS, lines_dropped
from edge.errors import RejectReason
from edge.sidecar import ModelFacts
from edge.status import Status
from edge.text.printable import printable
from edge.trust.drift import LIMIT, Drift
from edge.trust.unfamiliar import Unfamiliar

PREFIX: Final = "microscope_edge"
# From one image on an idle machine to a backlog of a weekend.
_LATENCY_BUCKETS_S: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    *(60, 300, 1800, 3600, 6 * 3600, 24 * 3600, 72 * 3600),
)
_INFER_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
# Otherwise every counter would have a second series with its time of creation.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The metrics of one service. Safe to use from several threads.

    Each service has its own registry, so that the counts of two in one process do not add up.
    """

    def __init__(
        self,
        health: Health,
        folders: Iterable[Path] = (),
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._wall_clock = wall_clock
        self._registry = registry = CollectorRegistry()
        self._state = _StateCollector(health, tuple(folders))
        registry.register(self._state)
        registry.register(_ProcessCollector())

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"{PREFIX}_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets_s: tuple[float, ...]) -> Histogram:
            return Histogram(f"{PREFIX}_{name}", text, registry=registry, buckets=buckets_s)

        self._outcomes = counter("images", "Images by their outcome.", "outcome")
        self._labels = counter("labels", "Labelled images by their label.", "label")
        self._reasons = counter("rejections", "Rejected images by the reason code.", "reason")
        self._unfamiliar = counter(
            "unfamiliar", "Images unlike the laboratory's by the reason code.", "reason"
        )
        self._dropped = counter("dropped", "Versions that vanished or changed first.", "state")
        self._unchanged = counter("unchanged", "Rechecked images that keep their outcome.")
        self._postponed = counter("postponed", "Times an image was put off.")
        self._forgotten = counter("retention_deleted", "Journal rows deleted by their age.")
        self._latency = histogram(
            "latency_seconds", "From complete file to durable outcome.", _LATENCY_BUCKETS_S
        )
        self._infer = histogram(
            "infer_seconds", "Time in the model for each image.", _INFER_BUCKETS_S
        )
        # Every series begins at 0, as rate() misses the first event of one that begins at 1.
        for status in Status:
            self._outcomes.labels(str(status))
        for reason in RejectReason:
            self._reasons.labels(str(reason))
        for cause in Unfamiliar:
            self._unfamiliar.labels(str(cause))

    def finished(self, verdicts: Iterable[Verdict]) -> None:
        """Count verdicts that are in the journal."""
        now = self._wall_clock()
        for verdict in verdicts:
            match verdict:
                case Finished():
                    self._count(verdict, now)
                case Postponed():
                    self._postponed.inc()
                case Unchanged():
                    self._unchanged.inc()
                case Dropped():
                    self._dropped.labels(verdict.state).inc()

    def add_labels(self, model: ModelFacts) -> None:
        """Begin a series at 0 for each label that the model may give."""
        for name in model.classes:
            self._labels.labels(name)

    def set_journal_bytes(self, size_bytes: int) -> None:
        """Set the size of the journal with its write-ahead log."""
        self._state.journal_bytes = size_bytes

    def rows_deleted(self, rows: int) -> None:
        """Count journal rows that retention deleted."""
        self._forgotten.inc(rows)

    def text(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self._registry)

    def _count(self, finished: Finished, now: float) -> None:
        outcome = finished.outcome
        self._outcomes.labels(str(outcome.status)).inc()
        if outcome.reason is not None:
            self._reasons.labels(str(outcome.reason)).inc()
        if outcome.familiarity is not None and outcome.familiarity.reason is not None:
            self._unfamiliar.labels(str(outcome.familiarity.reason)).inc()
        if outcome.status is Status.LABELLED and outcome.decision is not None:
            self._labels.labels(outcome.decision.label).inc()
        if outcome.decision is not None:
            self._infer.observe(outcome.timing_ms.infer / 1e3)
        if finished.image.recorded_at is not None:
            # By the wall clock, as the process may have been restarted; it may have been set back.
            self._latency.observe(max(0.0, now - finished.image.recorded_at))


class _StateCollector(Collector):
    """Gauges, computed from the health at each request."""

    def __init__(self, health: Health, folders: tuple[Path, ...]) -> None:
        self._health = health
        self._folders = folders
        self.journal_bytes = 0

    def collect(self) -> Iterator[Metric]:
        report = self._health.report()
        queue = report.queue
        backlog = _gauge("backlog_images", "Images on their way, by how far they are.", "state")
        for state in ("waiting", "claimed", "settling"):
            backlog.add_metric([state], getattr(queue, state))
        yield backlog
        yield _gauge("oldest_waiting_seconds", "Age of the image that waits longest; 0: none.").of(
            queue.oldest_waiting_s or 0.0
        )
        yield _gauge("up", "0 where images get no labels.").of(
            report.status is not HealthStatus.FAILING
        )
        parts = _gauge("part_ok", "0 where a part of the service does not work.", "part")
        for name, part in report.parts.items():
            parts.add_metric([name], part.is_ok)
        yield parts
        yield _gauge("failed_over", "1 while the CPU labels in place of a GPU.").of(
            report.is_failed_over
        )
        yield _gauge("journal_bytes", "Size of the journal.").of(self.journal_bytes)
        yield _log_lines_dropped()
        if report.canary_age_s is not None:
            text = "Since a known image last got its label."
            yield _gauge("canary_age_seconds", text).of(report.canary_age_s)
        if report.model is not None:
            yield _model_info(report.model)
        yield from self._watch_folders(report.watch)
        yield from _drift(report.drift)

    def _watch_folders(self, watch: Mapping[int, Watch]) -> Iterator[Metric]:
        info = _gauge("watch_folder_info", "Which folder has which number.", "watch", "folder")
        there = _gauge("watch_folder_there", "0: the folder is away or does not answer.", "watch")
        events = _gauge("watch_folder_events", "1: inotify gives hints; 0: it is polled.", "watch")
        text = "Files and folders that the last whole scan left out."
        passed_over = _gauge("passed_over", text, "watch", "reason")
        for number, folder in enumerate(self._folders):
            info.add_metric([str(number), printable(str(folder))], 1)
        for number, one in sorted(watch.items()):
            there.add_metric([str(number)], one.is_there)
            events.add_metric([str(number)], one.has_events)
            if one.passed_over is not None:
                for reason in map(str, Reason):
                    count = one.passed_over.reasons.get(reason, 0)
                    passed_over.add_metric([str(number), reason], count)
        yield from (info, there, events, passed_over)


class _ProcessCollector(Collector):
    """The usual process_* metrics, read from /proc/self alone.

    The library's own collector needs /proc/stat, which the unit's ProcSubset=pid hides, and gives
    nothing at all without it.
    """

    def __init__(self) -> None:
        self._started_at = time.time()

    def collect(self) -> Iterator[Metric]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu = CounterMetricFamily("process_cpu_seconds", "CPU time of the process.")
        cpu.add_metric([], usage.ru_utime + usage.ru_stime)
        yield cpu
        yield GaugeMetricFamily(
            "process_start_time_seconds", "When the service began.", value=self._started_at
        )
        yield GaugeMetricFamily(
            "process_threads", "Threads of Python.", value=threading.active_count()
        )
        try:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            pages = int(Path("/proc/self/statm").read_bytes().split()[1])
            descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone
        except OSError:
            return  # a sandbox that hides even this
        yield GaugeMetricFamily("process_max_fds", "Most open descriptors.", value=limit)
        resident = pages * resource.getpagesize()
        yield GaugeMetricFamily("process_resident_memory_bytes", "Memory in use.", value=resident)
        yield GaugeMetricFamily("process_open_fds", "Open descriptors.", value=descriptors)


class _Gauge(GaugeMetricFamily):
    def of(self, value: float) -> _Gauge:
        """The gauge with its one value."""
        self.add_metric([], value)
        return self


def _gauge(name: str, text: str, *labels: str) -> _Gauge:
    return _Gauge(f"{PREFIX}_{name}", text, labels=labels)


def _drift(drift: Mapping[int, Drift]) -> Iterator[Metric]:
    text = "1 while a folder's images look different from the laboratory's."
    alarm = _gauge("drift_alarm", text, "watch")
    text = f"How far its images have drifted; the alarm begins above {LIMIT:g}, ends at 0."
    level = _gauge("drift_level", text, "watch")
    for number, state in drift.items():
        alarm.add_metric([str(number)], state.is_alarm)
        level.add_metric([str(number)], state.level)
    yield from (alarm, level)


def _log_lines_dropped() -> Metric:
    text = "Lines of the log that could not be written, since the process began."
    dropped = CounterMetricFamily(f"{PREFIX}_log_lines_dropped", text, labels=["level"])
    counts = lines_dropped()
    # Every series begins at 0, for rate().
    for level in LEVELS:
        dropped.add_metric([level], counts.get(level, 0))
    return dropped


def _model_info(model: ModelFacts) -> Metric:
    facts = {
        "name": model.name,
        "version": model.version,
        "bundle_sha256": model.bundle_sha256,
        "precision": model.precision,
        "backend": model.backend,
        "graph": model.graph,
    }
    info = _gauge("model_info", "The model that labels.", *facts)
    info.add_metric(list(facts.values()), 1)
    return info
