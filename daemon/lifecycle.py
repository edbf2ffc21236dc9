"""One service after another in one process: anew on SIGHUP, and when the journal's disk is back."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from daemon.check_config import check_config
from daemon.config import Config, load_config
from daemon.liveness import Heartbeat, Notifier
from daemon.service import Service
from daemon.startup import opened_service
from edge.errors import EdgeError, StorageError

log = logging.getLogger(__name__)

# Between two tries to open the journal again; the longest is well within half a minute.
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 15.0
_BEAT_S: Final = 1.0


class Lifecycle:
    """Runs services until one is stopped. Used once, in the main thread."""

    def __init__(self, path: Path, notifier: Notifier | None = None) -> None:
        """Prepare to run.

        Args:
            path: of the configuration, read again at every SIGHUP.
            notifier: to systemd.
        """
        self._path = path
        self._notifier = notifier or Notifier()
        self._heartbeat = Heartbeat(self._notifier)
        self._stopped = threading.Event()
        self._service: Service | None = None
        self._next: Config | None = None
        self._reload = threading.Lock()
        self._waited_s = 0.0

    def run(self, config: Config) -> None:
        """Label images until stopped.

        Raises:
            EdgeError: the first start failed, or the service cannot go on in this process.
        """
        while not self._stopped.is_set():
            try:
                with opened_service(config, notifier=self._notifier) as service:
                    self._run_one(service, config)
            except StorageError as error:
                if self._service is None:
                    raise
                self._wait_for_storage(error)
            config = self._take_next(config)

    def stop(self) -> None:
        """Finish the batches in hand and end. Safe in a signal handler and from any thread."""
        if not self._stopped.is_set():
            self._notifier.notify("STOPPING=1")
            self._stopped.set()
        if self._service is not None:
            self._service.stop()

    def reload(self) -> None:
        """Check the configuration beside the running service, and go on with it if it is right."""
        threading.Thread(target=self._check_new, name="reload", daemon=True).start()

    def on_signals(self) -> None:
        """Stop on SIGTERM and SIGINT, reload on SIGHUP."""
        actions: dict[int, Callable[[], None]] = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGHUP: self.reload,
        }

        def act(number: int, _frame: FrameType | None) -> None:
            actions[number]()

        for number in actions:
            signal.signal(number, act)

    def _run_one(self, service: Service, config: Config) -> None:
        self._service = service
        if self._stopped.is_set():
            return
        log.info("labelling images of %d watch folders", len(config.watch))
        began_s = time.monotonic()
        try:
            service.run()
        finally:
            if time.monotonic() - began_s > _LONGEST_WAIT_S:
                self._waited_s = 0.0
            log.info("stopped: %s", service.tally.text())

    def _wait_for_storage(self, error: StorageError) -> None:
        """Say once what is wrong and wait, longer each time."""
        if not self._waited_s:
            log.error("%s", error)
            log.error("labelling stands still and goes on by itself when the disk works")
        self._waited_s = min(max(_FIRST_WAIT_S, 2 * self._waited_s), _LONGEST_WAIT_S)
        self._heartbeat.status("waiting for the disk of the journal")
        end_s = time.monotonic() + self._waited_s
        while time.monotonic() < end_s and not self._stopped.wait(_BEAT_S):
            # A new process would wait as well.
            self._heartbeat.beat()

    def _take_next(self, config: Config) -> Config:
        with self._reload:
            found, self._next = self._next, None
            return found or config

    def _check_new(self) -> None:
        if not self._reload.acquire(blocking=False):
            log.warning("SIGHUP came while the configuration was being checked; it is ignored")
            return
        try:
            self._notifier.reloading()
            self._next = self._checked()
        finally:
            self._reload.release()
        if self._next is None:
            self._heartbeat.ready()
        elif self._service is not None:
            # The new service says that it is ready.
            self._service.stop()

    def _checked(self) -> Config | None:
        try:
            config = load_config(self._path)
            check_config(config)
        except EdgeError as error:
            problems = str(error).splitlines()
        else:
            log.info("the configuration is right and is taken")
            return config
        for line in (*problems, "the configuration is not taken; the one before goes on"):
            log.error("%s", line)
        return None
