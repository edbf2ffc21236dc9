"""What a service is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.config import Config
from daemon.ending import Ending
from daemon.health import Health
from daemon.image_log import ImageLog
from daemon.journal import Journal
from daemon.label_job import LabelJob
from daemon.liveness import Heartbeat, Pulse
from daemon.metrics import Metrics
from daemon.results import ResultsWriter
from daemon.roots import Root


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service is made of, opened by `daemon.startup`."""

    config: Config
    journal: Journal
    roots: dict[int, Root]
    job: LabelJob
    results: ResultsWriter
    require_state_dir: Callable[[], None]
    image_log: ImageLog
    heartbeat: Heartbeat
    pulse: Pulse
    health: Health
    metrics: Metrics
    ending: Ending
