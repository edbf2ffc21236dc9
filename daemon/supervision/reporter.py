"""Reports the service's health: HTTP server, file for node_exporter, file for `status`.

Runs in its own thread with its own connection to the journal, so that neither counting a long
backlog nor a slow disk delays labelling.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from daemon.config.config import Config
from daemon.health.health import HEALTH_NAME, Health, Queue
from daemon.health.metrics import Metrics
from daemon.journal.file import NAME
from daemon.journal.summary import read_queue
from daemon.supervision.metrics_server import MetricsServer, pages
from daemon.system.clock import Clock
from edge.errors import StorageError
from edge.files.atomic import write_file

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
_HEALTH_EVERY_S: Final = 5.0
_FILE_EVERY_S: Final = 15.0
_LISTEN_EVERY_S: Final = 30.0
# Counting a backlog of a million takes about a second; this is its largest share of the time.
_COUNT_SHARE: Final = 0.05
_COUNT_EVERY_S: Final = 2.0


class Reporter:
    """Reports every few seconds while `running`."""

    def __init__(
        self, config: Config, health: Health, metrics: Metrics, *, clock: Clock = time.monotonic
    ) -> None:
        self._config = config
        self._health = health
        self._metrics = metrics
        self._clock = clock
        self._stopped = threading.Event()
        self._due_s: dict[str, float] = {}
        self._broken: set[str] = set()
        self._failing: set[str] = set()
        listen = config.metrics.listen
        self._server = MetricsServer(listen, pages(health, metrics)) if listen else None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Report while the block runs."""
        # A daemon thread: a disk that hangs must not keep the process from ending.
        thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join(timeout=2.0)
            if self._server is not None:
                self._server.stop()
            if self._config.metrics.file is not None:
                # node_exporter would go on showing its last values.
                with suppress(OSError):
                    self._config.metrics.file.unlink()

    def tick(self) -> None:
        """Make the reports that are due."""
        self._do("listen", _LISTEN_EVERY_S, self._listen)
        self._do("count", _COUNT_EVERY_S, self._count)
        self._do("health", _HEALTH_EVERY_S, lambda: self._write("status", self._write_health))
        if self._config.metrics.file is not None:
            self._do("file", _FILE_EVERY_S, lambda: self._write("metrics", self._write_metrics))

    def _run(self) -> None:
        is_stopped = False
        while not is_stopped:
            self.tick()
            is_stopped = self._stopped.wait(TICK_S)

    def _do(self, what: str, every_s: float, action: Callable[[], None]) -> None:
        if not self._is_due(what, every_s):
            return
        try:
            action()
        except Exception as error:  # noqa: BLE001 - reporting must go on
            self._failing.add(what)
            self._warn_once("reporter", f"the report {what!r} failed: {type(error).__name__}.")
            return
        self._failing.discard(what)
        if not self._failing:
            self._recover("reporter", "every report works again")

    def _is_due(self, what: str, every_s: float) -> bool:
        now = self._clock()
        if now < self._due_s.get(what, now):
            return False
        self._due_s[what] = now + every_s
        return True

    def _listen(self) -> None:
        # Tried again later: an address in use must not stop the labelling.
        if self._server is None or self._server.is_listening:
            return
        try:
            self._server.start()
        except StorageError as error:
            self._warn_once("metrics", str(error))
        else:
            self._recover("metrics", "metrics.listen: the server listens now")

    def _count(self) -> None:
        started_s = self._clock()
        try:
            folders = [watch.folder for watch in self._config.watch]
            waiting, claimed, oldest_at = read_queue(self._config.state_dir, folders)
        except StorageError:
            return  # reported by the threads that work with the journal
        oldest_s = None if oldest_at is None else max(0.0, time.time() - oldest_at)
        self._health.set_queue(Queue(waiting, claimed, oldest_waiting_s=oldest_s))
        self._metrics.set_journal_bytes(journal_bytes(self._config.state_dir))
        ended_s = self._clock()
        pause_s = (ended_s - started_s) / _COUNT_SHARE
        self._due_s["count"] = ended_s + max(pause_s, _COUNT_EVERY_S)

    def _write_health(self) -> None:
        write_health(self._config.state_dir, self._health)

    def _write_metrics(self) -> None:
        file = self._config.metrics.file
        if file is not None:
            write_for_all(file, self._metrics.text())

    def _write(self, what: str, write: Callable[[], None]) -> None:
        try:
            write()
        except (StorageError, OSError) as error:
            self._warn_once(f"{what} file", f"{error}")
        else:
            self._recover(f"{what} file", f"the {what} file can be written again")

    def _warn_once(self, part: str, text: str) -> None:
        if part not in self._broken:
            self._broken.add(part)
            log.error("%s It is retried.", text)
            self._health.set(part, ok=False, reason="see the log", is_vital=False)

    def _recover(self, part: str, text: str) -> None:
        if part in self._broken:
            self._broken.remove(part)
            log.warning("%s", text)
            self._health.set(part, ok=True, is_vital=False)


def write_health(state_dir: Path, health: Health) -> None:
    """Write the health to the file that `edge-daemon status` reads.

    Raises:
        StorageError: it cannot be written.
    """
    fields = {**health.report().to_dict(), **health.process, "written_at": time.time()}
    write_file(state_dir / HEALTH_NAME, json.dumps(fields, indent=1).encode())


def write_for_all(path: Path, content: bytes) -> None:
    """Replace a file by one that every user of this machine may read.

    The service's umask would keep node_exporter, which is another user, from reading it.

    Raises:
        StorageError, OSError: it cannot be written; an old file is unchanged.
    """
    # Under a name that node_exporter does not read.
    new = path.with_name(f"{path.name}.new")
    write_file(new, content)
    new.chmod(0o644)
    new.replace(path)


def journal_bytes(state_dir: Path) -> int:
    """The size of the journal and its write-ahead log, in bytes."""
    total = 0
    for name in (NAME, f"{NAME}-wal"):
        try:
            total += (state_dir / name).stat().st_size
        except OSError:
            continue
    return total
