"""Opens what a service needs, and closes it at the end.

Locks and journal come before the model: they fail within seconds, the model may take minutes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from daemon.config.config import Config
from daemon.drift.streams import Streams
from daemon.health.health import Health
from daemon.health.metrics import Metrics
from daemon.health.stages import Stages
from daemon.health.systemd import Heartbeat
from daemon.image.comparison import Comparison, has_sidecars
from daemon.image.watch_folder import WatchFolder
from daemon.intake.settle import GRACE_FACTOR
from daemon.journal.journal import Journal, open_journal
from daemon.log.image_log import ImageLog
from daemon.log.journald import Pseudonyms, open_pseudonyms
from daemon.model.current_model import CurrentModel, open_current_model
from daemon.model.gpu_failure import GpuFailure
from daemon.model.gpu_return import GpuReturn, works_in_child
from daemon.model.label_job import GracePeriod, LabelJob
from daemon.model.open_model import model_opener
from daemon.recovery import recover_claims, requeue_unreadable
from daemon.results.destination import Destination
from daemon.results.outage import Outage
from daemon.results.taken_names import TakenNames
from daemon.results.writer import ResultsWriter
from daemon.retention import Retention
from daemon.second_looks import SecondLooks
from daemon.service import Service
from daemon.service_parts import ServiceParts
from daemon.supervision.known_image import KnownImage
from daemon.supervision.reporter import Reporter
from daemon.supervision.supervisor import Supervisor, Watched
from daemon.system.state_dir import owned_state_dir
from daemon.system.unicode_form import OTHER_FORM
from daemon.worker_threads import StopRequest
from edge.backends.select import Opening
from edge.failpoints import VARIABLE, arm_failpoints, failpoint
from edge.system.notifier import Notifier

log = logging.getLogger(__name__)

# How long systemd waits for the next message while an engine is built; a step takes seconds.
_BUILD_STEP_S: Final = 120


@contextmanager
def opened_service(
    config: Config,
    *,
    is_once: bool = False,
    notifier: Notifier | None = None,
    gpu_failure: GpuFailure | None = None,
    is_reopened: bool = False,
) -> Iterator[Service]:
    """A service that is ready for `run` or `once`.

    Args:
        config: the configuration.
        is_once: whether it ends by itself.
        notifier: sends messages to systemd.
        gpu_failure: set by an earlier service of this process; this service updates it.
        is_reopened: whether this process had a service before. Images that it left claimed then
            do not count as interrupted.

    Raises:
        EdgeError: a folder, the journal, a lock or the model cannot be used.
    """
    for name in arm_failpoints():
        log.warning("failpoint %s is armed, which is for tests only. Unset %s", name, VARIABLE)
    for path in () if is_reopened else config.other_forms:
        log.warning("%s %s", path, OTHER_FORM)
    notifier = notifier or Notifier()
    with ExitStack() as stack:
        storage = _open_storage(config, stack)
        journal = storage.journal
        stages = Stages()
        opening = announced(notifier)
        current_model = open_current_model(config, stages, opening, gpu_failure)
        stack.callback(current_model.close)
        failpoint("startup.model_opened")
        watch_folders = config.watch_folders(journal.serve)
        recover_claims(journal, watch_folders, is_interruption=not is_reopened)
        requeue_unreadable(journal, watch_folders, is_once=is_once)
        if is_once:
            SecondLooks(journal).requeue_all()
        parts = _assemble(
            config,
            storage,
            current_model,
            watch_folders,
            stages,
            Heartbeat(notifier),
            is_once=is_once,
        )
        if not is_once:
            stack.enter_context(Reporter(config, parts.health, parts.metrics).running())
            stack.enter_context(open_retention(parts).running())
        supervisor = None if is_once else _supervisor(parts, current_model, opening)
        failpoint("startup.ready")
        yield Service(parts, supervisor)
        failpoint("shutdown.ended")


def _assemble(
    config: Config,
    storage: _Storage,
    current_model: CurrentModel,
    watch_folders: dict[int, WatchFolder],
    stages: Stages,
    heartbeat: Heartbeat,
    *,
    is_once: bool,
) -> ServiceParts:
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


@dataclass(frozen=True, slots=True)
class _Storage:
    """What this process holds on the disks."""

    pseudonyms: Pseudonyms
    journal: Journal
    destination: Destination
    require_state_dir: Callable[[], None]


def _open_storage(config: Config, stack: ExitStack) -> _Storage:
    require_state_dir = stack.enter_context(owned_state_dir(config.state_dir))
    failpoint("startup.locked")
    pseudonyms = open_pseudonyms(config.state_dir)
    journal = open_journal(config.state_dir)
    stack.callback(journal.close)
    failpoint("startup.journal_opened")
    journal.check_writable()
    watch_folders = [watch.folder for watch in config.watch]
    destination = Destination(config.results.folder, watch_folders)
    trees = [config.results_folder(watch) for watch in config.watch]
    stack.enter_context(destination.held(trees))
    return _Storage(pseudonyms, journal, destination, require_state_dir)


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


def announced(notifier: Notifier) -> Opening:
    """Log choices of back ends, and ask systemd for more time while an engine is built."""

    def on_progress(step: str, done: int, total: int) -> None:
        notifier.extend(_BUILD_STEP_S)
        notifier.notify(f"STATUS={step}: {done} of {total}")

    return Opening(on_choice=lambda text: log.info("%s", text), on_progress=on_progress)
