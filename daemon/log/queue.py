"""The way from the threads that log to whoever reads the log, who may stand still.

A pipe that nobody reads holds 64 kB; after that a write to it waits for ever, and so does one to a
stopped terminal or to a journald that hangs. So a thread of its own writes, from a queue with an
end. What does not fit is dropped, counted, and told when the reader is back.
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

# Some 40,000 lines: a worker may have a thousand images rejected at once, and others as many.
MOST_BYTES: Final = 4 * 1024 * 1024
_LONGEST_LINE: Final = 16_000
# A reader that takes nothing for so long stands still.
_STALLED_AFTER_S: Final = 5.0
# How long the end of the process waits for a reader.
_FLUSH_S: Final = 2.0


class QueuedHandler(logging.Handler):
    """Formats a record at once and writes it later, in order. Never waits for the reader."""

    def __init__(
        self, descriptor: int, *, most_bytes: int = MOST_BYTES, clock: Clock = time.monotonic
    ) -> None:
        """Make a handler that writes to a descriptor, which stays open and the caller's."""
        super().__init__()
        self._descriptor = descriptor
        self._most_bytes = most_bytes
        self._queued_bytes = 0
        self._clock = clock
        # Both may be used by a thread that is using them already: a finalizer may run in the middle
        # of a line, and warn.
        self._lock = threading.RLock()
        self._lines: queue.SimpleQueue[tuple[str, bytes] | threading.Event | None]
        self._lines = queue.SimpleQueue()
        self._dropped: Counter[str] = Counter()
        self._unreported: Counter[str] = Counter()
        self._is_dropping = self._is_finished = False
        self._refusal: str | None = None
        self._writing_since_s: float | None = None
        # A daemon thread: a reader that stands still must not keep the process from ending.
        threading.Thread(target=self._run, name="log", daemon=True).start()

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many lines were never written, by level."""
        return dict(self._dropped)

    @property
    def problem(self) -> str:
        """Why lines do not reach the log now; empty where they do."""
        since_s = self._writing_since_s
        if since_s is not None and self._clock() - since_s > _STALLED_AFTER_S:
            return "nobody reads the log; what it cannot hold is dropped"
        return f"the log cannot be written ({self._refusal})" if self._refusal else ""

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - a wrong call of the log must not end what it tells of
            text = f"a line of {record.name}:{record.lineno} could not be made"
        self._put(record.levelname.lower(), f"{text[:_LONGEST_LINE]}\n")

    def show(self, text: str) -> None:
        """Queue a piece of a progress line, which may be lost without a word."""
        self._put("", text)

    def isatty(self) -> bool:
        """Whether the log goes to a terminal."""
        return os.isatty(self._descriptor)

    def flush(self) -> None:
        """Wait until what is queued is written, for a moment at the most."""
        if not self._is_finished:
            is_written = threading.Event()
            self._lines.put(is_written)
            is_written.wait(_FLUSH_S)

    def finish(self) -> None:
        """Write what is queued and end; afterwards nothing waits for this descriptor any more."""
        self.flush()
        with self._lock:
            self._is_finished = True
        self._lines.put(None)
        if not _is_writable(self._descriptor):
            # Whatever else the process writes at its end would wait for ever.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)

    def _put(self, level: str, text: str) -> None:
        line = text.encode(errors="backslashreplace")
        with self._lock:
            # Until all that is queued was read: else a slow reader would get a line now and then,
            # and each time a line that tells of those dropped in between.
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
        text = f"{untold.total()} lines of the log were dropped ({kinds}): nobody read it"
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
    """Shows text, such as the line of a progress, on its way through the log's queue."""

    def __init__(self, handler: QueuedHandler) -> None:
        self._handler = handler

    def write(self, text: str) -> None:
        """Queue a piece of text, which may be lost without a word."""
        self._handler.show(text)

    def flush(self) -> None:
        """Do nothing: it is shown as soon as can be."""

    def isatty(self) -> bool:
        """Whether it is shown on a terminal."""
        return self._handler.isatty()


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        # Others may have made it non-blocking: it is one open file for all who inherited it.
        _poll(descriptor, None)
        view = view[os.write(descriptor, view[: select.PIPE_BUF]) :]


def _is_writable(descriptor: int) -> bool:
    """Whether a line would be taken without waiting."""
    return bool(_poll(descriptor, 0) & select.POLLOUT)


def _poll(descriptor: int, timeout_ms: int | None) -> int:
    asked = select.poll()
    asked.register(descriptor, select.POLLOUT)
    return sum(events for _, events in asked.poll(timeout_ms))
