"""One service after another in one process: anew on SIGHUP, and when the journal's disk is back."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

from daemon.config.config import Config, load_config
from daemon.health.health import Health
from daemon.health.systemd import LAST_BATCHES_S, Heartbeat, Notifier
from daemon.log.journald import flush_log
from daemon.model.gpu_failure import GpuFailure
from daemon.operator.check_config import check_config
from daemon.service import Service
from daemon.startup import opened_service
from daemon.supervision.reporter import write_health
from daemon.system.locks import InUseError
from daemon.system.memory import trim_heap
from daemon.system.signals import acting_on_signals
from edge.command.run import place_of
from edge.errors import EdgeError, StorageError
from edge.text.counted import counted

log = logging.getLogger(__name__)

# Between two tries to open the journal again; the longest is well within half a minute.
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 15.0
_BEAT_S: Final = 1.0
# Nobody beats while the next service is opened, and CUDA alone may take longer than WatchdogSec=.
_OPENING_S: Final = 60


class ServiceProcess:
    """Runs services until one is stopped. Used once, in the main thread."""

    def __init__(
        self,
        path: Path,
        notifier: Notifier | None = None,
        *,
        exit_now: Callable[[int], None] = os._exit,
    ) -> None:
        """Prepare to run.

        Args:
            path: of the configuration, read again at every SIGHUP.
            notifier: to systemd.
            exit_now: ends the process without waiting for any thread.
        """
        self._path = path
        self._notifier = notifier or Notifier()
        self._heartbeat = Heartbeat(self._notifier)
        self._exit_now = exit_now
        self._stopped = threading.Event()
        self._is_running = False
        self._ended = threading.Event()
        self._gpu_failure = GpuFailure()
        self._has_started = False
        self._waited_s = 0.0
        # What to go back to where another daemon holds what a new configuration names.
        self._previous: Config | None = None
        # A check takes as long as a share hangs: this lock is held for moments only.
        self._lock = threading.Lock()
        self._is_checking = self._is_wanted = False
        self._is_opening = True
        self._service: Service | None = None
        self._next: Config | None = None

    def run(self, config: Config) -> None:
        """Label images until stopped.

        Raises:
            EdgeError: the first start failed, or the service cannot go on in this process.
        """
        self._is_running = True
        try:
            self._run(config)
        finally:
            self._ended.set()

    def _run(self, config: Config) -> None:
        while not self._stopped.is_set():
            self._is_opening = True
            if self._has_started:
                self._notifier.extend(_OPENING_S)
            try:
                with opened_service(
                    config,
                    notifier=self._notifier,
                    gpu_failure=self._gpu_failure,
                    is_reopened=self._has_started,
                ) as service:
                    self._run_one(service, config)
            except InUseError as error:
                if self._previous is None:
                    raise
                _log_refusal(str(error).splitlines())
                config, self._previous = self._previous, None
            except StorageError as error:
                if not self._has_started:
                    raise
                self._wait_for_storage(error, config)
            config = self._take_next(config)

    def stop(self) -> None:
        """Finish the batches in hand and end. Safe from any thread, not in a signal handler.

        A file system that does not answer may hold a batch for ever. Its images are labelled by
        the next process.
        """
        is_first = not self._stopped.is_set()
        if is_first:
            self._notifier.notify("STOPPING=1")
            self._stopped.set()
        if (service := self._service) is not None:
            service.stop()
        if is_first and self._is_running:
            threading.Thread(target=self._end_in_time, name="end", daemon=True).start()

    def reload(self) -> None:
        """Check the configuration beside the running service, and go on with it if it is right.

        Where one is being checked another check follows: the file may be a newer one by now.
        """
        with self._lock:
            self._is_wanted = True
            was_checking, self._is_checking = self._is_checking, True
        if was_checking:
            log.info("SIGHUP came during the check of the configuration; it is checked once more")
            return
        try:
            threading.Thread(target=self._check_wanted, name="reload", daemon=True).start()
        except RuntimeError as error:  # the process may have no more threads now
            with self._lock:
                self._is_checking = False
            _log_refusal([f"the configuration cannot be checked now ({error}); send SIGHUP again"])

    def _end_in_time(self) -> None:
        if not self._ended.wait(LAST_BATCHES_S):
            log.error("a batch is not done after %g s; the process ends without it", LAST_BATCHES_S)
            flush_log()
            self._exit_now(0)

    def acting_on_signals(self) -> AbstractContextManager[None]:
        """Stop on SIGTERM and SIGINT and reload on SIGHUP, in the block; the main thread's."""
        actions = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGHUP: self.reload,
        }
        return acting_on_signals(actions, then_ignored=True)

    def _run_one(self, service: Service, config: Config) -> None:
        self._has_started, self._previous = True, None
        self._is_opening = False
        with self._lock:
            self._service = service
            is_outdated = self._next is not None
        try:
            if not is_outdated and not self._stopped.is_set():
                self._label(service, config)
        finally:
            with self._lock:
                self._service = None

    def _label(self, service: Service, config: Config) -> None:
        # Of the service before, and what opening this one took.
        trim_heap()
        log.info("labelling images of %s", counted(len(config.watch), "watch folder"))
        began_s = time.monotonic()
        try:
            service.run()
        finally:
            if time.monotonic() - began_s > _LONGEST_WAIT_S:
                self._waited_s = 0.0
            log.info("stopped: %s", service.outcome_counts.text())

    def _wait_for_storage(self, error: StorageError, config: Config) -> None:
        """Say once what is wrong and wait, longer each time."""
        _write_status(config.state_dir)
        if not self._waited_s:
            log.error("%s", error)
            log.error("labelling stands still and goes on by itself when the disk works")
        self._waited_s = min(max(_FIRST_WAIT_S, 2 * self._waited_s), _LONGEST_WAIT_S)
        # The end of a reload that systemd may be waiting for.
        self._is_opening = False
        self._heartbeat.ready()
        self._heartbeat.status("waiting for the disk of the journal")
        end_s = time.monotonic() + self._waited_s
        # A new configuration may name another disk.
        while time.monotonic() < end_s and self._next is None and not self._stopped.wait(_BEAT_S):
            # A new process would wait as well.
            self._heartbeat.beat()

    def _take_next(self, config: Config) -> Config:
        with self._lock:
            found, self._next = self._next, None
        if found is not None:
            self._previous = config
        return found or config

    def _check_wanted(self) -> None:
        found: Config | None = None
        while not self._is_handed_over(found):
            self._notifier.reloading()
            found = self._checked() or found
            trim_heap()

    def _is_handed_over(self, found: Config | None) -> bool:
        """Give what a check found to the next service, unless another check is wanted first."""
        with self._lock:
            self._is_checking, self._is_wanted = self._is_wanted, False
            if self._is_checking:
                return False
            self._next = found or self._next
            service = self._service if found else None
        if service is not None:
            # The new service says that it is ready.
            service.stop()
        elif found is None and not self._is_opening and not self._stopped.is_set():
            # A service that is being opened says so itself.
            self._heartbeat.ready()
        return True

    def _checked(self) -> Config | None:
        try:
            config = load_config(self._path)
            check_config(config)
        except EdgeError as error:
            problems = str(error).splitlines()
        except Exception as error:  # noqa: BLE001 - the end of the thread
            # Without its text, which may hold the path of an image.
            problems = [f"unexpected {type(error).__name__} at {place_of(error)}"]
        else:
            log.info("the configuration is right and is taken")
            return config
        _log_refusal(problems)
        return None


def _write_status(state_dir: Path) -> None:
    """Have `edge-daemon status` say that no image gets its label now, where the disk takes that."""
    health = Health()
    reason = "a disk does not work; labelling goes on by itself when it does, see the log"
    health.set("storage", ok=False, reason=reason)
    with suppress(StorageError):
        write_health(state_dir, health)


def _log_refusal(problems: list[str]) -> None:
    for line in (*problems, "the configuration is not taken; the one before goes on"):
        log.error("%s", line)
