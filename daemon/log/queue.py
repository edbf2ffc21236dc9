"""Writes the log in its own thread, so that nothing waits for its reader.

A write to a full pipe, a stopped terminal or a journald that hangs waits for ever. So lines go
through a bounded queue. Lines that do not fit are dropped and counted, and the log says how many
when it is read again.
"""

from __future__ import annotations

import logging
import os
import queue
import select
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Final

from daemon.system.clock import Clock

# Some 40,000 lines; each worker may log a thousand rejected images at once.
MOST_BYTES: Final = 4 * 1024 * 1024
_LONGEST_LINE: Final = 16_000
# After so long in one write, the log counts as not being read.
_STALLED_AFTER_S: Final = 5.0
# Longest wait for the reader at the end of the process.
_FLUSH_S: Final = 2.0


class QueuedHandler(logging.Handler):
    """Formats a record at once and writes it later, in order. Does not wait for the reader."""

    def __init__(
        self, descriptor: int, *, most_bytes: int = MOST_BYTES, clock: Clock = time.monotonic
    ) -> None:
        """Write to a descriptor, which the caller owns and keeps open."""
        super().__init__()
        self._descriptor = descriptor
        self._most_bytes = most_bytes
        self._queued_bytes = 0
        self._clock = clock
        # Reentrant, and a SimpleQueue: a finalizer may log in the middle of a call of this class,
        # in the same thread.
        self._lock = threading.RLock()
        self._lines: queue.SimpleQueue[tuple[str, bytes] | threading.Event | None]
        self._lines = queue.SimpleQueue()
        self._dropped: Counter[str] = Counter()
        self._unreported: Counter[str] = Counter()
        self._is_dropping = self._is_finished = False
        self._refusal: str | None = None
        self._writing_since_s: float | None = None
        # A daemon thread: a write that hangs must not keep the process from ending.
        threading.Thread(target=self._run, name="log", daemon=True).start()

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many lines were never written, by level."""
        return dict(self._dropped)

    @property
    def problem(self) -> str:
        """Why lines cannot be written now; empty if they can."""
        since_s = self._writing_since_s
        if since_s is not None and self._clock() - since_s > _STALLED_AFTER_S:
            return "nobody reads the log; lines that do not fit its queue are dropped"
        return f"the log cannot be written ({self._refusal})" if self._refusal else ""

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - a bug in a log call must not end its thread
            text = f"the log line of {record.name}:{record.lineno} cannot be formatted"
        self._put(record.levelname.lower(), f"{text[:_LONGEST_LINE]}\n")

    def show(self, text: str) -> None:
        """Queue a piece of a progress line; it may be dropped, and is not counted then."""
        self._put("", text)

    def isatty(self) -> bool:
        """Whether the log goes to a terminal."""
        return os.isatty(self._descriptor)

    def flush(self) -> None:
        """Wait until the queued lines are written, for two seconds at most."""
        if not self._is_finished:
            is_written = threading.Event()
            self._lines.put(is_written)
            is_written.wait(_FLUSH_S)

    def finish(self) -> None:
        """Write the queued lines and end. If nobody reads, the descriptor becomes /dev/null."""
        self.flush()
        with self._lock:
            self._is_finished = True
        self._lines.put(None)
        if not _is_writable(self._descriptor):
            # Otherwise anything else that the process writes at its end would wait for ever.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)

    def _put(self, level: str, text: str) -> None:
        line = text.encode(errors="backslashreplace")
        with self._lock:
            # Once full, lines are dropped until the queue is empty. Otherwise a slow reader would
            # get single lines, each with another line about those dropped before it.
            is_full = self._queued_bytes + len(line) > self._most_bytes
            self._is_dropping = self._is_dropping or is_full
            if self._is_finished or self._is_dropping:
                self._count(level)
            else:
                self._queued_bytes += len(line)
                self._lines.put((level, line))

    def _count(self, level: str) -> None:
        if level:
            self._dropped[level] += 1
            self._unreported[level] += 1

    def _run(self) -> None:
        while (item := self._lines.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
            else:
                with self._lock:
                    self._queued_bytes -= len(item[1])
                self._write(*item)
            if self._lines.empty():
                self._log_dropped()

    def _log_dropped(self) -> None:
        with self._lock:
            self._is_dropping = not self._lines.empty()
            if self._is_dropping or self._refusal or not self._unreported:
                return
            untold, self._unreported = self._unreported, Counter()
        kinds = ", ".join(f"{count} {level}" for level, count in sorted(untold.items()))
        text = f"{untold.total()} log lines were dropped ({kinds}), as nobody read the log"
        record = logging.LogRecord(
            __name__, logging.WARNING, __file__, 0, text, args=None, exc_info=None
        )
        self._write("", f"{self.format(record)}\n".encode())

    def _write(self, level: str, line: bytes) -> None:
        self._writing_since_s = self._clock()
        try:
            _write_all(self._descriptor, line)
            self._refusal = None
        except OSError as error:
            self._refusal = error.strerror
            with self._lock:
                self._count(level)
        self._writing_since_s = None


class QueuedScreen:
    """A text stream for progress lines, written through the log's queue."""

    def __init__(self, handler: QueuedHandler) -> None:
        self._handler = handler

    def write(self, text: str) -> None:
        """Queue a piece of text, which may be dropped."""
        self._handler.show(text)

    def flush(self) -> None:
        """Do nothing, as text is written as soon as possible."""

    def isatty(self) -> bool:
        """Whether the log goes to a terminal."""
        return self._handler.isatty()


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        # Polled, as another process that shares the open file may have made it non-blocking.
        _poll(descriptor, None)
        view = view[os.write(descriptor, view[: select.PIPE_BUF]) :]


def _is_writable(descriptor: int) -> bool:
    """Whether a line could be written without waiting."""
    return bool(_poll(descriptor, 0) & select.POLLOUT)


def _poll(descriptor: int, timeout_ms: int | None) -> int:
    asked = select.poll()
    asked.register(descriptor, select.POLLOUT)
    return sum(events for _, events in asked.poll(timeout_ms))
