"""The objects that a service works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.config.config import Config
from daemon.drift.streams import Streams
from daemon.health.health import Health
from daemon.health.metrics import Metrics
from daemon.health.stages import Stages
from daemon.health.systemd import Heartbeat
from daemon.image.watch_folder import WatchFolder
from daemon.journal.journal import Journal
from daemon.log.image_log import ImageLog
from daemon.model.label_job import LabelJob
from daemon.results.writer import ResultsWriter
from daemon.worker_threads import StopRequest


@dataclass(frozen=True, slots=True)
class ServiceParts:
    """The objects that a service works with; `daemon.startup` opens them."""

    config: Config
    journal: Journal
    watch_folders: dict[int, WatchFolder]
    job: LabelJob
    results: ResultsWriter
    streams: Streams
    require_state_dir: Callable[[], None]
    image_log: ImageLog
    heartbeat: Heartbeat
    stages: Stages
    health: Health
    metrics: Metrics
    stop_request: StopRequest
