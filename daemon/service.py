"""The daemon at work. Read this file first.

One image's way, from top to bottom of this file:

    found      a hint of the watcher, or the rescan, names the file      _follow_hints, _rescan
    settled    nobody writes to it any more                              _admit, _record_settled
    recorded   it stands in the journal as waiting                       _record
    claimed    a worker takes it, and others with it where many wait     _work
    labelled   decoded, preprocessed, inferred, judged                   _label
               or found to be unchanged, where it has an outcome
    durable    its sidecars are on the disk                              _write
    marked     the journal holds its outcome                             _finish_batch

One thread, the coordinator, does the first three; each worker does the rest for a batch of its
own. The queue between them is the journal, so that a backlog costs disk and not memory, and
nothing is lost when the process is killed at any point of the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from daemon.health.outcome_counts import OutcomeCounts
from daemon.image.records import ClaimedImage, Dropped, Finished, ImageVersion, Postponed, Verdict
from daemon.intake.folder_intake import FolderIntake
from daemon.intake.hints import Hint, HintKind, Hints
from daemon.intake.inotify import listen_for_losses
from daemon.intake.settle import SettleTracker
from daemon.log.without_paths import without_paths
from daemon.second_looks import SecondLooks
from daemon.service_parts import ServiceParts
from daemon.supervision.supervisor import BUSY, EXPORT, LABEL, MARK, RESULTS, Supervisor
from daemon.worker_threads import WorkSignal, start_workers
from edge.errors import EdgeError
from edge.failpoints import failpoint

# The coordinator's longest wait: how late it may notice a dead watcher or a stop.
_TICK_S: Final = 0.5
# With `once` the wait delays the end of the run.
_ONCE_TICK_S: Final = 0.05
# In a burst, scans and files that have settled get their turn after so long.
_HINTS_TURN_S: Final = 1.0
# A worker looks this often for images whose time to be tried again has come.
_IDLE_S: Final = 0.5


class Service:
    """Labels the images of all watch folders, by `run`, or without a supervisor by `once`."""

    def __init__(self, parts: ServiceParts, supervisor: Supervisor | None = None) -> None:
        self.outcome_counts = OutcomeCounts(parts.watch_folders)
        self._parts = parts
        self._config = parts.config
        self._journal = parts.journal
        self._supervisor = supervisor
        self._is_once = supervisor is None
        self._hints = Hints()
        self._settle = SettleTracker(parts.config.settle_s)
        # `once` needs no hints: it looks at everything.
        poll = "always" if self._is_once else parts.config.poll
        self._intakes = {
            id_: FolderIntake(
                watch_folder,
                self._hints,
                poll=poll,
                rescan_s=parts.config.rescan_s,
                state_dir=parts.config.state_dir,
            )
            for id_, watch_folder in parts.watch_folders.items()
        }
        self._work_signal = WorkSignal()
        self._second_looks = SecondLooks(parts.journal, self._work_signal.wake)
        self._stop_request = parts.stop_request

    def run(self) -> None:
        """Label what is there and what arrives, until `stop` is called.

        Raises:
            EdgeError: the service cannot go on; every image it held is waiting again.
        """
        listen_for_losses(self._hints)
        with self._workers():
            # The first tick watches, then begins to scan. The other way round, a file that
            # arrives in between would be seen by neither.
            self._tick()
            if self._supervisor is not None:
                self._supervisor.start()
            self._parts.heartbeat.ready()
            while not self._stop_request.is_made:
                self._tick()
        self._stop_request.raise_error()

    def once(self, on_turn: Callable[[], None]) -> int:
        """Label what is there and return; gives the number of files still being written.

        Raises:
            EdgeError: as `run`.
        """
        with self._workers():
            while not self._stop_request.is_made and not self._is_drained():
                self._tick()
                self._expect()
                on_turn()
                for intake in self._intakes.values():
                    intake.require_folder()
        return len(self._settle)

    @property
    def left(self) -> int:
        """Images that `once` has left without a result."""
        return self._parts.results.left

    def stop(self) -> None:
        """Finish the batches in hand and end. Safe from any thread, not in a signal handler."""
        self._stop_request.make()
        self._hints.wake()

    # Found, settled, recorded: the coordinator.

    def _tick(self) -> None:
        for intake in self._intakes.values():
            intake.keep_watching()
        self._follow_hints()
        self._rescan()
        self._record_settled()
        self._second_looks.requeue_some()
        self._report_progress()

    def _follow_hints(self) -> None:
        turn_ends_s = time.monotonic() + _HINTS_TURN_S
        for hint in self._hints.take(self._seconds_to_next()):
            failpoint("hint.taken")
            self._parts.stages.tick()
            intake = self._intakes[hint.folder_id]
            if hint.kind is HintKind.NEW_FOLDER:
                intake.note_new_folder(hint.path)
            elif version := intake.look(hint.path):
                self._admit([version], is_complete=intake.is_complete(hint, self._config.limits))
            if time.monotonic() > turn_ends_s:
                break
        if self._hints.take_loss():
            for intake in self._intakes.values():
                intake.note_loss()

    def _rescan(self) -> None:
        for intake in self._intakes.values():
            # A tracker that is full makes the scan wait, not the memory grow.
            if not self._settle.is_full:
                self._admit(self._journal.unknown(intake.next_chunk()))

    def _admit(self, versions: list[ImageVersion], *, is_complete: bool = False) -> None:
        """Record what is complete or was quiet for long; watch the rest settle."""
        quiet = [v for v in versions if is_complete or self._settle.is_quiet_by_mtime(v)]
        self._record(quiet, is_written=is_complete)
        for version in set(versions).difference(quiet):
            if self._settle.is_full:
                self._hints.note_loss()
            else:
                self._settle.watch(version)

    def _record_settled(self) -> None:
        with self._parts.stages.stage(EXPORT):
            settled = self._settle.take_settled(lambda v: self._intakes[v.folder_id].look(v.path))
        self._record(settled)

    def _record(self, versions: list[ImageVersion], *, is_written: bool = False) -> None:
        if recorded := self._journal.record_waiting(versions, is_written=is_written):
            failpoint("record.after_commit")
            self._work_signal.wake(recorded)

    # Claimed, labelled, durable, marked: the workers.

    def _work(self) -> None:
        try:
            while not self._stop_request.is_made:
                seen = self._work_signal.count
                claimed = self._journal.claim(self._config.batch.max_images)
                if claimed:
                    with self._parts.stages.stage(BUSY):
                        failpoint("claim.after_commit")
                        self._finish_batch(claimed)
                    self._parts.stages.note_queue_progress()
                elif self._work_signal.wait(seen, _IDLE_S):
                    with self._parts.stages.stage(BUSY):
                        self._stop_request.wait(self._config.batch.max_wait_ms / 1e3)
        finally:
            # A worker that ends, ends the service: systemd starts a whole one.
            self.stop()

    def _finish_batch(self, claimed: list[ClaimedImage]) -> None:
        try:
            with self._parts.stages.stage(LABEL):
                labelled = self._label(claimed)
            with self._parts.stages.stage(RESULTS), without_paths():
                verdicts = self._write(labelled)
            failpoint("batch.durable")
            with self._parts.stages.stage(MARK):
                self._look_again_at_changed(verdicts)
                self._journal.conclude(verdicts)
            failpoint("mark.after_commit")
        except EdgeError:
            # The device or the disk failed, which is no image's fault.
            self._journal.release(claimed, is_interruption=False)
            raise
        except BaseException:
            self._journal.release(claimed, is_interruption=True)
            raise
        with self._parts.stages.stage(MARK):
            self.outcome_counts.add(verdicts)
            self._parts.metrics.finished(verdicts)
            self._parts.image_log.log_verdicts(verdicts)
        if all(isinstance(v, Postponed) and not v.is_unfinished for v in verdicts):
            # Perhaps nothing can be read or written now: do not race through the backlog.
            self._stop_request.wait(self._config.retry.first_delay_s)

    def _label(self, claimed: list[ClaimedImage]) -> list[Verdict]:
        try:
            return self._parts.job.label(claimed)
        except EdgeError:
            raise
        except Exception as error:  # noqa: BLE001 - the service loop: one image must not end it
            if len(claimed) > 1:
                return [verdict for image in claimed for verdict in self._label([image])]
            self._parts.image_log.log_unexpected(claimed[0], error)
            return [self._parts.job.retry(claimed[0], type(error).__name__)]

    def _write(self, verdicts: list[Verdict]) -> list[Verdict]:
        failpoint("batch.labelled")
        finished = [verdict for verdict in verdicts if isinstance(verdict, Finished)]
        others = [verdict for verdict in verdicts if not isinstance(verdict, Finished)]
        results = self._parts.results
        write = results.write if self._is_once else results.write_or_postpone
        return [*others, *write(finished)]

    def _look_again_at_changed(self, verdicts: list[Verdict]) -> None:
        # Before the journal lets go of them, or `once` could end in between.
        for verdict in verdicts:
            if isinstance(verdict, Dropped) and verdict.state == "superseded":
                version = verdict.image.version
                self._hints.put(Hint(version.folder_id, version.path, HintKind.CREATED))

    # Around it.

    @contextmanager
    def _workers(self) -> Iterator[None]:
        """Workers run during the block; afterwards the error of one that failed is raised."""
        with ThreadPoolExecutor(self._config.workers, "worker") as pool:
            try:
                workers = start_workers(pool, self._work, self._config.workers)
                yield
            finally:
                self.stop()
                failpoint("shutdown.begun")
                if self._supervisor is not None:
                    self._supervisor.stop()
                for intake in self._intakes.values():
                    intake.stop_watching()
                self._work_signal.wake_all()
        for worker in workers:
            worker.result()

    def _seconds_to_next(self) -> float:
        longest_s = _ONCE_TICK_S if self._is_once else _TICK_S
        scan_s = min(intake.seconds_to_next() for intake in self._intakes.values())
        return min(longest_s, self._settle.seconds_to_next(), scan_s)

    def _is_scanned(self) -> bool:
        return all(intake.is_scanned for intake in self._intakes.values())

    def _expect(self) -> None:
        # Counted once: with a long backlog a count takes longer than a batch.
        if self.outcome_counts.expected is None and self._is_scanned():
            left = self._journal.count_open() + len(self._settle)
            self.outcome_counts.expected = self.outcome_counts.finished + left

    def _is_drained(self) -> bool:
        # The journal before the hints: a worker gives a hint before it closes the image.
        return (
            self._is_scanned()
            and not self._journal.has_open_images()
            and self._settle.all_keep_changing()
            and len(self._hints) == 0
        )

    def _report_progress(self) -> None:
        self._parts.stages.tick()
        self._parts.health.set_settling(len(self._settle))
        self._parts.results.review()
        for number, intake in enumerate(self._intakes.values()):
            intake.report(self._parts.health, number)
        if self._parts.heartbeat.status_due():
            text = f"{self.outcome_counts.text()}; {self._journal.count_open()} waiting"
            self._parts.heartbeat.status(text)
