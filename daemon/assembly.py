"""Puts together what a service works with, when storage and model are open.

It imports most of the daemon, so `daemon.startup` imports it while the model is being opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from daemon.config.config import Config
from daemon.drift.streams import Streams
from daemon.health.health import Health
from daemon.health.metrics import Metrics
from daemon.health.stages import Stages
from daemon.health.systemd import Heartbeat
from daemon.image.comparison import Comparison
from daemon.image.missing_sidecars import has_sidecars
from daemon.image.watch_folder import WatchFolder
from daemon.intake.settle import GRACE_FACTOR
from daemon.log.image_log import ImageLog
from daemon.model.current_model import CurrentModel
from daemon.model.gpu_return import GpuReturn, works_in_child
from daemon.model.label_job import GracePeriod, LabelJob
from daemon.model.open_model import model_opener
from daemon.results.destination import Destination
from daemon.results.outage import Outage
from daemon.results.taken_names import TakenNames
from daemon.results.writer import ResultsWriter
from daemon.retention import Retention
from daemon.service import Service
from daemon.service_parts import ServiceParts
from daemon.storage import Storage
from daemon.supervision.known_image import KnownImage
from daemon.supervision.reporter import Reporter
from daemon.supervision.supervisor import Supervisor, Watched
from daemon.worker_threads import StopRequest
from edge.backends.opening import Opening
from edge.failpoints import failpoint


@contextmanager
def assembled_service(
    parts: ServiceParts, current_model: CurrentModel, opening: Opening, *, is_once: bool
) -> Iterator[Service]:
    """The service, with the threads that report and delete beside it."""
    with ExitStack() as stack:
        if not is_once:
            stack.enter_context(Reporter(parts.config, parts.health, parts.metrics).running())
            stack.enter_context(open_retention(parts).running())
        supervisor = None if is_once else _supervisor(parts, current_model, opening)
        failpoint("startup.ready")
        yield Service(parts, supervisor)


def assemble(
    config: Config,
    storage: Storage,
    current_model: CurrentModel,
    watch_folders: dict[int, WatchFolder],
    stages: Stages,
    heartbeat: Heartbeat,
    *,
    is_once: bool,
) -> ServiceParts:
    """The objects that a service works with."""
    health = Health()
    health.set_model(
        current_model.model.facts, failed_over=current_model.failed_over_since_s is not None
    )
    metrics = Metrics(health, [watch.folder for watch in config.watch])
    metrics.add_labels(current_model.model.facts)
    grace_period = _grace_period(config, is_once=is_once)
    comparison = _comparison(config, watch_folders, storage.destination)
    return ServiceParts(
        config=config,
        journal=storage.journal,
        watch_folders=watch_folders,
        job=LabelJob(
            current_model.label_batch, watch_folders, config.retry, grace_period, comparison
        ),
        results=ResultsWriter(
            watch_folders,
            lambda: current_model.model.facts,
            config.results.formats,
            storage.destination,
            Outage(storage.destination, health, config.retry, storage.journal.try_refused_now),
            TakenNames(health, is_once=is_once),
        ),
        streams=Streams(
            storage.journal, watch_folders, current_model.model.facts.bundle_sha256, health
        ),
        require_state_dir=storage.require_state_dir,
        # An unreadable image is tried every rescan_s, or later when others come first.
        image_log=ImageLog(watch_folders, storage.pseudonyms, quiet_s=10 * config.rescan_s),
        heartbeat=heartbeat,
        stages=stages,
        health=health,
        metrics=metrics,
        stop_request=StopRequest(),
    )


def _supervisor(parts: ServiceParts, current_model: CurrentModel, opening: Opening) -> Supervisor:
    config, stop_request = parts.config, parts.stop_request
    open_ = model_opener(config, parts.stages, opening)
    return Supervisor(
        Watched(
            current_model=current_model,
            known_image=KnownImage(
                current_model, parts.journal, config.state_dir, parts.require_state_dir
            ),
            gpu_return=GpuReturn(
                current_model, open_, partial(works_in_child, config), stop_request.make
            ),
            stages=parts.stages,
            heartbeat=parts.heartbeat,
            state_dir=config.state_dir,
            max_images=config.batch.max_images,
            workers=config.workers,
            has_claimable=parts.journal.has_claimable,
            end_with=stop_request.make,
            health=parts.health,
        )
    )


def _grace_period(config: Config, *, is_once: bool) -> GracePeriod:
    return GracePeriod(
        config.settle_s * GRACE_FACTOR,
        trust_mtime=is_once,
        recheck_s=None if is_once else config.rescan_s,
    )


def _comparison(
    config: Config, watch_folders: dict[int, WatchFolder], destination: Destination
) -> Comparison:
    def has_all_sidecars(target: Path) -> bool:
        destination.require({target.parent})
        return has_sidecars(target, config.results.formats)

    return Comparison(watch_folders, config.limits, has_all_sidecars, config.retry.first_delay_s)


def open_retention(parts: ServiceParts) -> Retention:
    """The retention of the journal's rows, as configured."""
    journal, config = parts.journal, parts.config
    return Retention(
        journal,
        parts.watch_folders,
        config.state_dir,
        config.retention_days,
        is_idle=lambda: not journal.has_open_images(),
        on_deleted=parts.metrics.rows_deleted,
    )
