"""Watches the service from its own threads, and finds calls that hang.

A hung call into a driver or a disk cannot be cancelled. So after a hung inference the process ends
at once and systemd starts another; the journal makes that harmless. A share that does not answer
is only logged: a new process would hang on it as well.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.health.health import Health
from daemon.health.stages import BUSY, EXPORT, INFER, LABEL, MARK, RESULTS, Stages
from daemon.health.systemd import Heartbeat
from daemon.log.journald import flush_log, log_problem
from daemon.model.current_model import CurrentModel
from daemon.model.gpu_failure import write_gpu_marker
from daemon.model.gpu_return import GpuReturn
from daemon.supervision.known_image import INTERVAL_S, KnownImage
from daemon.system.clock import Clock
from edge.errors import BackendError, EdgeError, TransientError

log = logging.getLogger(__name__)

# Counts as hung after this time, unless it is known to take longer.
HUNG_AFTER_S: Final = 5.0
TICK_S: Final = 0.5
# A check that comes this late shows that the machine or the process was paused.
_PAUSE_S: Final = 2.0
# An inference may take this many times as long as at the start, as the machine may be busy.
_SLACK: Final = 10
_STORAGE_STAGES: Final = {
    EXPORT: ("looking at files in a watch folder", "the images of that folder wait"),
    LABEL: ("reading or labelling a batch of images", "its images wait"),
    RESULTS: ("writing sidecars", "the images of that batch wait"),
}
_SLOW_AFTER_S: Final = 10.0
_STALLED_AFTER_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What a supervisor watches, and where it reports.

    Attributes:
        current_model: the model that labels now.
        known_image: labelled every few seconds as a check.
        gpu_return: tries the GPU again while the CPU labels in its place.
        stages: what every thread is doing.
        heartbeat: sends WATCHDOG=1 while no thread hangs.
        state_dir: gets the marker of a GPU that hangs.
        max_images: images per batch.
        workers: number of workers.
        has_claimable: whether a free worker would find an image in the queue.
        end_with: stops the service, which then raises the error.
        health: gets the state of threads, disks, log and model.
    """

    current_model: CurrentModel
    known_image: KnownImage
    gpu_return: GpuReturn
    stages: Stages
    heartbeat: Heartbeat
    state_dir: Path
    max_images: int
    workers: int
    has_claimable: Callable[[], bool]
    end_with: Callable[[EdgeError], None]
    health: Health


class Supervisor:
    """Watches `watched` in two threads while the service runs."""

    def __init__(
        self,
        watched: Watched,
        *,
        exit_now: Callable[[int], None] = os._exit,
        clock: Clock = time.monotonic,
    ) -> None:
        """Prepare; `exit_now` ends the process without waiting for any thread."""
        self.watched = watched
        self._exit_now = exit_now
        self._clock = clock
        self._checked_s = self._resumed_s = clock()
        self._stopped = threading.Event()
        self._logged_problem: str | None = None
        self._slow: set[str] = set()

    def start(self) -> None:
        """Begin to watch."""
        for target in (self._label_known_images, self._watch):
            # Daemon threads: one that hangs must not keep the process from ending.
            threading.Thread(target=target, name=target.__name__, daemon=True).start()

    def stop(self) -> None:
        """End both threads, without waiting for one that hangs."""
        self._stopped.set()
        self.watched.heartbeat.stop()

    def check(self) -> str | None:
        """What hangs now, or None; ends the process if an inference hangs."""
        self._notice_pause()
        if self._has_waited(self.watched.stages.longest_s(INFER), self.infer_limit_s()):
            self._end_hung_inference()
            return "inference hangs"
        if self._has_waited(self.watched.known_image.passed_ago_s(), HUNG_AFTER_S + INTERVAL_S):
            return f"the known image has hung in the step {self.watched.known_image.step}"
        if problem := self._queue_problem():
            return problem
        waits_for_export = self.watched.stages.longest_s(EXPORT) > 0
        is_stalled = self._has_waited(self.watched.stages.ticked_ago_s(), HUNG_AFTER_S)
        if is_stalled and not waits_for_export:
            return (
                f"the coordinator, which finds and records images, has hung for {HUNG_AFTER_S:g} s"
            )
        return None

    def _queue_problem(self) -> str | None:
        """What is wrong if images wait and no worker finishes or takes any.

        A worker may take long for its batch, whose images may be large or on a slow share.
        """
        stages = self.watched.stages
        if self._has_waited(stages.longest_s(MARK), _STALLED_AFTER_S):
            return f"marking a batch in the journal has hung for {_STALLED_AFTER_S:g} s"
        is_free = stages.threads_in(BUSY) < self.watched.workers
        if is_free and self._has_waited(stages.queue_stalled_s(), _STALLED_AFTER_S):
            return (
                f"images have waited for {_STALLED_AFTER_S:g} s and no free worker has claimed them"
            )
        return None

    def _notice_pause(self) -> None:
        now = self._clock()
        if now - self._checked_s > _PAUSE_S:
            self._resumed_s = now
        self._checked_s = now

    def _has_waited(self, waited_s: float, limit_s: float) -> bool:
        """Whether something took longer than its limit, not counting pauses of the machine."""
        return min(waited_s, self._clock() - self._resumed_s) > limit_s

    def infer_limit_s(self) -> float:
        """How long one inference may take, in seconds: 5, or more for a slow model."""
        batch_s = self.watched.max_images * self.watched.current_model.model.image_s
        return max(HUNG_AFTER_S, _SLACK * batch_s)

    def _watch(self) -> None:
        while not self._stopped.is_set():
            self.check_and_report()
            self._stopped.wait(TICK_S)

    def check_and_report(self) -> None:
        """Check once, and report to systemd, the log and the health."""
        problem = self.check()
        if problem is None:
            self.watched.heartbeat.beat()
            self.watched.gpu_return.check()
        self._log_slow_storage()
        self._update_health(problem)
        if problem != self._logged_problem:
            if problem is not None:
                log.error("%s; no WATCHDOG=1 is sent to systemd until that ends", problem)
            else:
                log.warning("no thread hangs any more; WATCHDOG=1 is sent again")
            self._logged_problem = problem

    def _update_health(self, problem: str | None) -> None:
        health, current_model = self.watched.health, self.watched.current_model
        health.set("progress", ok=problem is None, reason=problem or "")
        reason = "a file system does not answer; its images wait"
        # Longer than _SLOW_AFTER_S, which large images on a slow machine may take.
        hung = self.watched.stages.threads_in(LABEL, RESULTS, longer_than_s=_STALLED_AFTER_S)
        if is_vital := hung >= self.watched.workers:
            reason = "a file system does not answer; every worker waits for it"
        health.set("storage", ok=not self._slow, reason=reason, is_vital=is_vital)
        log_reason = log_problem()
        health.set("log", ok=not log_reason, reason=log_reason, is_vital=False)
        health.set_model(
            current_model.model.facts, failed_over=current_model.failed_over_since_s is not None
        )

    def _log_slow_storage(self) -> None:
        """Log once when a call to a file system hangs, and once when it has ended."""
        for stage, (step, effect) in _STORAGE_STAGES.items():
            is_slow = self.watched.stages.longest_s(stage) > _SLOW_AFTER_S
            if is_slow and stage not in self._slow:
                log.warning("%s has taken over %.0f s; %s", step, _SLOW_AFTER_S, effect)
                self._slow.add(stage)
            elif not is_slow and stage in self._slow:
                log.warning("%s takes less time again", step)
                self._slow.remove(stage)

    def _label_known_images(self) -> None:
        while not self._stopped.wait(INTERVAL_S):
            try:
                self.watched.known_image.pass_once()
                self.watched.health.known_image_passed()
                if not self.watched.has_claimable():
                    self.watched.stages.note_queue_progress()
            except TransientError as error:
                # Possibly it can be read next time.
                log.debug("the known image cannot be read now: %s", error)
            except EdgeError as error:
                self.watched.end_with(error)
                return
            except Exception as error:  # noqa: BLE001 - otherwise this thread would end unnoticed
                text = f"labelling the known image failed with {type(error).__name__}."
                self.watched.end_with(EdgeError(text))
                return

    def _end_hung_inference(self) -> None:
        backend = self.watched.current_model.model.session.backend
        log.error("inference on %s hangs; the process ends, for systemd to start it again", backend)
        if self.watched.current_model.is_on_gpu:
            write_gpu_marker(self.watched.state_dir, "inference hung")
        flush_log()
        self._exit_now(BackendError.exit_code)
