"""Runs one service after another in one process.

A new service is opened after SIGHUP, and when the journal's disk works again after a failure.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.config.config import Config, load_config
from daemon.health.health import Health
from daemon.health.systemd import LAST_BATCHES_S, Heartbeat
from daemon.log.journald import flush_log
from daemon.model.gpu_failure import GpuFailure
from daemon.startup import opened_service
from daemon.system.locks import InUseError
from daemon.system.memory import trim_heap
from daemon.system.signals import acting_on_signals
from edge.command.run import place_of
from edge.errors import EdgeError, StorageError
from edge.system.notifier import Notifier
from edge.text.counted import counted

if TYPE_CHECKING:
    from daemon.service import Service

log = logging.getLogger(__name__)

# Time between two attempts to open the journal again; doubled up to the longest.
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 15.0
_BEAT_S: Final = 1.0
# No WATCHDOG=1 is sent while a service is opened, and CUDA alone may take longer than
# WatchdogSec=, so systemd is asked for this much time.
_OPENING_S: Final = 60


class ServiceProcess:
    """Runs services until one is stopped. Use one object once, in the main thread.

    Attributes:
        service: the current service; None while none is open.
    """

    def __init__(
        self,
        path: Path,
        notifier: Notifier | None = None,
        *,
        exit_now: Callable[[int], None] = os._exit,
    ) -> None:
        """Prepare to run.

        Args:
            path: the configuration file, read again at every SIGHUP.
            notifier: sends messages to systemd.
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
        # Used again when another daemon holds a folder that the new configuration names.
        self._previous: Config | None = None
        # Never held during a check, which may hang as long as a share does.
        self._lock = threading.Lock()
        self._is_checking = self._is_wanted = False
        self._is_opening = True
        self.service: Service | None = None
        self._next: Config | None = None

    def run(self, config: Config) -> None:
        """Label images until stopped.

        Raises:
            EdgeError: the first start failed, or the service cannot continue in this process.
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
        """Finish the current batches and end. Safe from any thread, not in a signal handler.

        A batch may hang for ever on a file system that does not answer. After `LAST_BATCHES_S` the
        process ends without it, and the next process labels its images.
        """
        is_first = not self._stopped.is_set()
        if is_first:
            self._notifier.notify("STOPPING=1")
            self._stopped.set()
        if (service := self.service) is not None:
            service.stop()
        if is_first and self._is_running:
            threading.Thread(target=self._end_in_time, name="end", daemon=True).start()

    def reload(self) -> None:
        """Check the configuration while the service runs; use it if it is valid.

        During a check, one more check is scheduled: the file may have changed since.
        """
        with self._lock:
            self._is_wanted = True
            was_checking, self._is_checking = self._is_checking, True
        if was_checking:
            log.info("SIGHUP during the check of the configuration; the file is checked once more")
            return
        try:
            threading.Thread(target=self._check_wanted, name="reload", daemon=True).start()
        except RuntimeError as error:  # no more threads may be available
            with self._lock:
                self._is_checking = False
            _log_refusal([f"the configuration cannot be checked now ({error}); send SIGHUP again"])

    def _end_in_time(self) -> None:
        if not self._ended.wait(LAST_BATCHES_S):
            log.error("a batch did not end within %g s; the process ends", LAST_BATCHES_S)
            flush_log()
            self._exit_now(0)

    def acting_on_signals(self) -> AbstractContextManager[None]:
        """In the block, stop on SIGTERM and SIGINT, reload on SIGHUP. For the main thread."""
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
            self.service = service
            is_outdated = self._next is not None
        try:
            if not is_outdated and not self._stopped.is_set():
                self._label(service, config)
        finally:
            with self._lock:
                self.service = None

    def _label(self, service: Service, config: Config) -> None:
        # The previous service, and the opening of this one, have left free memory.
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
        """Log the error once and wait, longer each time."""
        _write_status(config.state_dir)
        if not self._waited_s:
            log.error("%s", error)
            log.error("labelling is paused; it resumes by itself when the disk works again")
        self._waited_s = min(max(_FIRST_WAIT_S, 2 * self._waited_s), _LONGEST_WAIT_S)
        # systemd may be waiting for the end of a reload.
        self._is_opening = False
        self._heartbeat.ready()
        self._heartbeat.status("waiting for the disk of the journal")
        end_s = time.monotonic() + self._waited_s
        # Ends early for a new configuration, which may name another disk.
        while time.monotonic() < end_s and self._next is None and not self._stopped.wait(_BEAT_S):
            # A restart by systemd would not help: a new process would wait as well.
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
        """Pass a checked configuration on; False when another check must come first."""
        with self._lock:
            self._is_checking, self._is_wanted = self._is_wanted, False
            if self._is_checking:
                return False
            self._next = found or self._next
            service = self.service if found else None
        if service is not None:
            # The new service sends READY=1.
            service.stop()
        elif found is None and not self._is_opening and not self._stopped.is_set():
            # A service that is being opened sends it itself.
            self._heartbeat.ready()
        return True

    def _checked(self) -> Config | None:
        # Imported by now, see `daemon.startup`.
        from daemon.operator.check_config import check_config

        try:
            config = load_config(self._path)
            check_config(config)
        except EdgeError as error:
            problems = str(error).splitlines()
        except Exception as error:  # noqa: BLE001 - otherwise the reload would end silently
            # Without the error's text, which may hold the path of an image.
            problems = [f"unexpected {type(error).__name__} at {place_of(error)}"]
        else:
            log.info("the new configuration is valid and is used from the next batch on")
            return config
        _log_refusal(problems)
        return None


def _write_status(state_dir: Path) -> None:
    """Let `edge-daemon status` show that labelling is paused, if the disk takes the file."""
    # Imported by now, by the first service.
    from daemon.supervision.reporter import write_health

    health = Health()
    reason = "a disk does not work; labelling resumes by itself when it does, see the log"
    health.set("storage", ok=False, reason=reason)
    with suppress(StorageError):
        write_health(state_dir, health)


def _log_refusal(problems: list[str]) -> None:
    for line in (*problems, "new configuration refused; the service keeps the previous one"):
        log.error("%s", line)
