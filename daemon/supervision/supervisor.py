"""Watches the service from a thread of its own: what hangs is found, told and ended.

A hung call into a driver or a disk cannot be cancelled. The process ends at once and systemd starts
a whole one; the journal makes that harmless. A share that does not answer is no reason to end: a
new process would hang on it as well, and the images wait in the journal.
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
from daemon.health.stages import Stages
from daemon.health.systemd import Heartbeat
from daemon.log.journald import flush_log, log_problem
from daemon.model.current_model import CurrentModel
from daemon.model.gpu_failure import write_gpu_marker
from daemon.model.gpu_return import GpuReturn
from daemon.model.open_model import INFER
from daemon.supervision.known_image import INTERVAL_S, KnownImage
from daemon.system.clock import Clock
from edge.errors import BackendError, EdgeError, TransientError

log = logging.getLogger(__name__)

# What has not moved for this long counts as hung, where it is not known to take longer.
HUNG_AFTER_S: Final = 5.0
TICK_S: Final = 0.5
# A check that comes so late finds a machine that was paused, or a process that was stopped: what
# seems to hang stood still with everything else.
_PAUSE_S: Final = 2.0
# How many times its own golden time an inference may take on a busy machine.
_SLACK: Final = 10
# Stages that wait for a file system, which may be another machine's.
EXPORT: Final = "export"
LABEL: Final = "label"
RESULTS: Final = "results"
_STORAGE_STAGES: Final = {
    EXPORT: "a watch folder",
    LABEL: "the file of an image",
    RESULTS: "the folder of the results",
}
_SLOW_AFTER_S: Final = 10.0
# A worker with images in its hands, or that waits for more to come.
BUSY: Final = "busy"
# Its last steps, which wait for this machine alone: what takes seconds on a busy disk hangs by now.
MARK: Final = "mark"
_STALLED_AFTER_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What a supervisor watches and who is told.

    Attributes:
        current_model: the model that labels now.
        known_image: the image that proves the whole path.
        gpu_return: tries the GPU again where the CPU stands in for it.
        stages: what every thread is doing.
        heartbeat: told while everything moves.
        state_dir: gets the marker of a GPU that hangs.
        max_images: of a worker's batch.
        workers: how many there are.
        has_claimable: whether a worker that is free would find an image in the queue.
        end_with: stops the service, which then raises the error.
        health: told what moves and which model labels.
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
    """Runs in two threads while the service runs."""

    def __init__(
        self,
        watched: Watched,
        *,
        exit_now: Callable[[int], None] = os._exit,
        clock: Clock = time.monotonic,
    ) -> None:
        """Make a supervisor; `exit_now` ends the process without waiting for any thread."""
        self._watched = watched
        self._exit_now = exit_now
        self._clock = clock
        self._checked_s = self._resumed_s = clock()
        self._stopped = threading.Event()
        self._told: str | None = None
        self._slow: set[str] = set()

    def start(self) -> None:
        """Begin to watch."""
        for target in (self._send_known_images, self._watch):
            # Daemon threads: one that hangs must not keep the process from ending.
            threading.Thread(target=target, name=target.__name__, daemon=True).start()

    def stop(self) -> None:
        """End both threads, without waiting for one that hangs."""
        self._stopped.set()
        self._watched.heartbeat.last()

    def check(self) -> str | None:
        """What does not move now, None where everything does; ends the process where it must."""
        self._notice_pause()
        if self._has_waited(self._watched.stages.longest_s(INFER), self.infer_limit_s()):
            self._end_hung_inference()
            return "inference hangs"
        if self._has_waited(self._watched.known_image.passed_ago_s(), HUNG_AFTER_S + INTERVAL_S):
            return f"the known image is stuck at {self._watched.known_image.step}"
        if problem := self._queue_problem():
            return problem
        waits_for_export = self._watched.stages.longest_s(EXPORT) > 0
        is_still = self._has_waited(self._watched.stages.ticked_ago_s(), HUNG_AFTER_S)
        if is_still and not waits_for_export:
            return "the coordinator does not move"
        return None

    def _queue_problem(self) -> str | None:
        """Whether images wait for workers that do not come.

        One that takes long over its images is no problem: they may be large, and wait for a share.
        """
        stages = self._watched.stages
        if self._has_waited(stages.longest_s(MARK), _STALLED_AFTER_S):
            return "a worker does not get done with its images"
        is_free = stages.threads_in(BUSY) < self._watched.workers
        if is_free and self._has_waited(stages.queue_stalled_s(), _STALLED_AFTER_S):
            return "images wait and no worker takes them"
        return None

    def _notice_pause(self) -> None:
        now = self._clock()
        if now - self._checked_s > _PAUSE_S:
            self._resumed_s = now
        self._checked_s = now

    def _has_waited(self, waited_s: float, limit_s: float) -> bool:
        """Whether something took longer than its limit, the machine's own pauses apart."""
        return min(waited_s, self._clock() - self._resumed_s) > limit_s

    def infer_limit_s(self) -> float:
        """How long one inference may take: 5 s, or more where a whole batch is known to."""
        batch_s = self._watched.max_images * self._watched.current_model.model.image_s
        return max(HUNG_AFTER_S, _SLACK * batch_s)

    def _watch(self) -> None:
        while not self._stopped.is_set():
            problem = self.check()
            if problem is None:
                self._watched.heartbeat.beat()
                self._watched.gpu_return.check()
            self._log_slow_storage()
            self._update_health(problem)
            if problem != self._told:
                if problem is not None:
                    log.error("%s; systemd is not told of progress until it moves", problem)
                else:
                    log.warning("everything moves again")
                self._told = problem
            self._stopped.wait(TICK_S)

    def _update_health(self, problem: str | None) -> None:
        health, current_model = self._watched.health, self._watched.current_model
        health.set("progress", ok=problem is None, reason=problem or "")
        reason = "a file system does not answer; its images wait"
        # Large images on a slow machine may take as long as it takes to call a share slow.
        hung = self._watched.stages.threads_in(LABEL, RESULTS, longer_than_s=_STALLED_AFTER_S)
        if is_vital := hung >= self._watched.workers:
            reason = "a file system does not answer and holds every worker; all images wait"
        health.set("storage", ok=not self._slow, reason=reason, is_vital=is_vital)
        trouble = log_problem()
        health.set("log", ok=not trouble, reason=trouble, is_vital=False)
        health.set_model(
            current_model.model.facts, failed_over=current_model.failed_over_since_s is not None
        )

    def _log_slow_storage(self) -> None:
        """Say once where a file system does not answer, and once when it does again."""
        for stage, what in _STORAGE_STAGES.items():
            is_slow = self._watched.stages.longest_s(stage) > _SLOW_AFTER_S
            if is_slow and stage not in self._slow:
                log.warning("%s does not answer; its images wait", what)
                self._slow.add(stage)
            elif not is_slow and stage in self._slow:
                log.warning("%s answers again", what)
                self._slow.remove(stage)

    def _send_known_images(self) -> None:
        while not self._stopped.wait(INTERVAL_S):
            try:
                self._watched.known_image.pass_once()
                self._watched.health.known_image_passed()
                if not self._watched.has_claimable():
                    self._watched.stages.note_queue_progress()
            except TransientError as error:
                # As for any image: perhaps it can be read next time.
                log.debug("%s", error)
            except EdgeError as error:
                self._watched.end_with(error)
                return
            except Exception as error:  # noqa: BLE001 - an error that nobody sees would end the proof
                text = f"the known image failed with {type(error).__name__}. It is started again."
                self._watched.end_with(EdgeError(text))
                return

    def _end_hung_inference(self) -> None:
        backend = self._watched.current_model.model.session.backend
        log.error("inference on %s hangs; this process ends and another one is started", backend)
        if self._watched.current_model.is_on_gpu:
            write_gpu_marker(self._watched.state_dir, "inference hung")
        flush_log()
        self._exit_now(BackendError.exit_code)
