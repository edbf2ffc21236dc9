"""The running service. Read this file first.

The steps of one image, in the order of this file:

    found      a hint from inotify, or the rescan, names the file        _follow_hints, _rescan
    settled    nobody writes to it any more                              _admit, _record_settled
    recorded   it has a row in the journal, in the state waiting         _record
    claimed    a worker takes it, with others when many wait             _work
    labelled   decoded, preprocessed, inferred, decided;                 _label
               or found unchanged, when it already has an outcome
    durable    its sidecars are on the disk                              _write
    marked     the journal holds its outcome                             _finish_batch

One thread, the coordinator, does the first three steps; each worker does the rest for its own
batch. The journal is the queue between them: a backlog takes disk space instead of memory, and a
process that is killed between two steps loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from daemon.health.outcome_counts import OutcomeCounts
from daemon.health.stages import BUSY, EXPORT, LABEL, MARK, RESULTS
from daemon.image.records import ClaimedImage, Dropped, Finished, ImageVersion, Postponed, Verdict
from daemon.intake.folder_intake import FolderIntake
from daemon.intake.hints import HintKind, Hints
from daemon.intake.inotify import listen_for_losses
from daemon.intake.settle import SettleTracker
from daemon.log.without_paths import without_paths
from daemon.second_looks import SecondLooks
from daemon.service_parts import ServiceParts
from daemon.supervision.supervisor import Supervisor
from daemon.worker_threads import WorkSignal, start_workers
from edge.errors import EdgeError
from edge.failpoints import failpoint

# The coordinator's longest wait, so the longest delay before it sees a dead watch or a stop.
_TICK_S: Final = 0.5
# Shorter for `once`, whose end this wait delays.
_ONCE_TICK_S: Final = 0.05
# In a burst of hints, rescans and settled files get their turn after this time.
_HINTS_TURN_S: Final = 1.0
# How often an idle worker looks for images whose next attempt is due.
_IDLE_S: Final = 0.5


class Service:
    """Labels the images of all watch folders. Call `run`; without a supervisor, call `once`.

    Attributes:
        outcome_counts: counts of the outcomes so far.
        parts: the objects that it works with.
        supervisor: finds calls that hang; None for `once`.
    """

    def __init__(self, parts: ServiceParts, supervisor: Supervisor | None = None) -> None:
        self.outcome_counts = OutcomeCounts(parts.watch_folders)
        self.parts = parts
        self._config = parts.config
        self._journal = parts.journal
        self.supervisor = supervisor
        self._is_once = supervisor is None
        self._hints = Hints()
        self._settle = SettleTracker(parts.config.settle_s)
        # `once` needs no hints: it scans everything.
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
        """Label the images that are there and those that arrive, until `stop` is called.

        Raises:
            EdgeError: the service cannot continue; the images it had claimed are waiting again.
        """
        listen_for_losses(self._hints)
        with self._workers():
            # The first tick starts the watch before the scan: a file that arrived between a scan
            # and the start of the watch would be seen by neither.
            self._tick()
            if self.supervisor is not None:
                self.supervisor.start()
            self.parts.heartbeat.ready()
            while not self._stop_request.is_made:
                self._tick()
        self._stop_request.raise_error()

    def once(self, on_turn: Callable[[], None]) -> int:
        """Label the images that are there; returns the number of files still being written.

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

    def stop(self) -> None:
        """Finish the current batches and end. Safe from any thread, not in a signal handler."""
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
            self.parts.stages.tick()
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
            # While the tracker is full the scan waits, so that memory stays bounded.
            if not self._settle.is_full:
                self._admit(self._journal.unknown(intake.next_chunk()))

    def _admit(self, versions: list[ImageVersion], *, is_complete: bool = False) -> None:
        """Record the files that are complete or old enough; wait for the others to settle."""
        quiet = [v for v in versions if is_complete or self._settle.is_quiet_by_mtime(v)]
        self._record(quiet, is_written=is_complete)
        for version in set(versions).difference(quiet):
            if self._settle.is_full:
                self._hints.note_loss()
            else:
                self._settle.watch(version)

    def _record_settled(self) -> None:
        with self.parts.stages.stage(EXPORT):
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
                    with self.parts.stages.stage(BUSY):
                        failpoint("claim.after_commit")
                        self._finish_batch(claimed)
                    self.parts.stages.note_queue_progress()
                elif self._work_signal.wait(seen, _IDLE_S):
                    with self.parts.stages.stage(BUSY):
                        self._stop_request.wait(self._config.batch.max_wait_ms / 1e3)
        finally:
            # When one worker ends, the service ends, and systemd starts it anew.
            self.stop()

    def _finish_batch(self, claimed: list[ClaimedImage]) -> None:
        try:
            with self.parts.stages.stage(LABEL):
                labelled = self._label(claimed)
            with self.parts.stages.stage(RESULTS), without_paths():
                verdicts = self._write(labelled)
            failpoint("batch.durable")
            with self.parts.stages.stage(MARK):
                self._hint_dropped(verdicts)
                self.parts.streams.conclude(verdicts)
            failpoint("mark.after_commit")
        except EdgeError:
            # The device or the disk failed, so the images do not count as the cause.
            self._journal.release(claimed, is_interruption=False)
            raise
        except BaseException:
            self._journal.release(claimed, is_interruption=True)
            raise
        with self.parts.stages.stage(MARK):
            self.outcome_counts.add(verdicts)
            self.parts.metrics.finished(verdicts)
            self.parts.image_log.log_verdicts(verdicts)
        if all(isinstance(v, Postponed) and not v.is_unfinished for v in verdicts):
            # Possibly nothing can be read or written now: do not try the whole backlog at once.
            self._stop_request.wait(self._config.retry.first_delay_s)

    def _label(self, claimed: list[ClaimedImage]) -> list[Verdict]:
        try:
            return self.parts.job.label(claimed)
        except EdgeError:
            raise
        except Exception as error:  # noqa: BLE001 - one image must not end the service
            if len(claimed) > 1:
                return [verdict for image in claimed for verdict in self._label([image])]
            self.parts.image_log.log_unexpected(claimed[0], error)
            return [self.parts.job.retry(claimed[0], type(error).__name__)]

    def _write(self, verdicts: list[Verdict]) -> list[Verdict]:
        failpoint("batch.labelled")
        finished = [self.parts.streams.marked(v) for v in verdicts if isinstance(v, Finished)]
        others = [verdict for verdict in verdicts if not isinstance(verdict, Finished)]
        results = self.parts.results
        write = results.write if self._is_once else results.write_or_postpone
        return [*others, *write(finished)]

    def _hint_dropped(self, verdicts: list[Verdict]) -> None:
        # Before the rows are concluded: after that, `once` could end without seeing these hints.
        for verdict in verdicts:
            if isinstance(verdict, Dropped):
                self._intakes[verdict.image.version.folder_id].note_dropped(verdict)

    # Start, stop and reports.

    @contextmanager
    def _workers(self) -> Iterator[None]:
        """Run the workers during the block; afterwards raise the error of one that failed."""
        with ThreadPoolExecutor(self._config.workers, "worker") as pool:
            try:
                workers = start_workers(pool, self._work, self._config.workers)
                yield
            finally:
                self.stop()
                failpoint("shutdown.begun")
                if self.supervisor is not None:
                    self.supervisor.stop()
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
        # Counted once: counting a long backlog takes longer than a batch.
        if self.outcome_counts.expected is None and self._is_scanned():
            left = self._journal.count_open() + len(self._settle)
            self.outcome_counts.expected = self.outcome_counts.finished + left

    def _is_drained(self) -> bool:
        # Journal first, then hints: a worker adds a hint before it concludes the image's row.
        return (
            self._is_scanned()
            and not self._journal.has_open_images()
            and self._settle.all_keep_changing()
            and len(self._hints) == 0
        )

    def _report_progress(self) -> None:
        self.parts.stages.tick()
        self.parts.health.set_settling(len(self._settle))
        self.parts.results.review()
        self.parts.streams.review()
        for number, intake in enumerate(self._intakes.values()):
            intake.report(self.parts.health, number)
        if self.parts.heartbeat.status_due():
            text = f"{self.outcome_counts.text()}; {self._journal.count_open()} waiting"
            self.parts.heartbeat.status(text)
