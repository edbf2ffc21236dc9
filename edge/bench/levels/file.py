"""File: from the close of an image file to its sidecar, through the running daemon.

The answer is the moment at which the JSON sidecar appears, which is the last of an image's files.
Its content and that of the CSV are on the disk by then. That their names are, too, takes a flush of
the folder, which comes after it.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from edge.bench.levels.daemon import DaemonStart, require_running, running, write_config
from edge.bench.measure.clock import Clock
from edge.bench.measure.open_loop import PATIENCE_S
from edge.bench.measure.record import Record
from edge.bench.measure.task import Stages, Task
from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.files.atomic import storage_errors
from edge.system.inotify import FolderEvents
from edge.system.kernel import allow_open_files

# So long before its close a file is written. An analyzer writes and closes in one go; longer, and
# the rescan could take an open file for a settled one.
_WRITE_AHEAD_NS: Final = 3_000_000
_SUFFIX: Final = ".jpg.json"
_LOOK_S: Final = 0.2
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class FileService:
    """Closes image files in the export folder and sees their sidecars. Use it in a `with` block."""

    def __init__(
        self,
        service: subprocess.Popen[bytes],
        folder: Path,
        contents: list[bytes],
        clock: Clock,
    ) -> None:
        self._service, self._clock, self._contents = service, clock, contents
        self._export, self._results = folder / "export", folder / "results"
        self._events = FolderEvents(self._results)
        self._record, self._first, self._next = Record(0), 0, 0
        self._open: dict[int, int] = {}
        self._has_answered, self._is_ending = threading.Event(), threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self._is_ending.set()
        self._watcher.join()
        self._events.close()
        for descriptor in self._open.values():
            os.close(descriptor)

    def begin(self, record: Record) -> None:
        """The record of the requests to come. No file has the name of an earlier one."""
        self._record, self._first = record, self._next

    def prepare(self, number: int, at_ns: int) -> None:
        """Write an image shortly before it is to be closed."""
        self._clock.wait_until_ns(at_ns - _WRITE_AHEAD_NS)
        file = self._first + number
        path = self._export / f"{file:07}.jpg"
        left = memoryview(self._contents[file % len(self._contents)])
        with storage_errors("write", path):
            self._open[number] = os.open(path, _NEW, 0o644)
            while left:
                left = left[os.write(self._open[number], left) :]
        self._next = file + 1

    def send(self, number: int) -> None:
        """Close the image."""
        os.close(self._open.pop(number))
        # A look at the process costs a system call, which a burst must not wait for.
        if number % 16 == 0:
            require_running(self._service)

    def wait(self, seconds: float) -> None:
        """Wait for the next sidecar."""
        self._has_answered.wait(seconds)
        self._has_answered.clear()
        require_running(self._service)

    def _watch(self) -> None:
        while not self._is_ending.is_set():
            if not select.select([self._events.fileno], [], [], _LOOK_S)[0]:
                continue
            names = self._events.read()
            now_ns = self._clock.now_ns()
            for name in names:
                self._note(name, now_ns)
            self._has_answered.set()

    def _note(self, name: str, now_ns: int) -> None:
        if not name.endswith(_SUFFIX) or not name[: -len(_SUFFIX)].isdecimal():
            return
        number = int(name[: -len(_SUFFIX)]) - self._first
        if 0 <= number < len(self._record.done_ns) and self._record.done_ns[number] == 0:
            self._record.answered(number, now_ns, self._results / name)

    def write_one(self, _number: int) -> None:
        """Write the next image, to be closed by `close_one`."""
        self.begin(Record(1))
        self.prepare(0, self._clock.now_ns())

    def close_one(self, _number: int) -> Path:
        """Close the image and wait for its sidecar, whose path is returned.

        Raises:
            EdgeError: there is none after a time in which everything else would have passed.
        """
        record = self._record
        self.send(0)
        closed_ns = self._clock.now_ns()
        record.sent(0, closed_ns)
        while record.unanswered:
            self.wait(_LOOK_S)
            if record.unanswered and self._clock.now_ns() - closed_ns > PATIENCE_S * 1e9:
                raise EdgeError(
                    f"edge-daemon wrote no sidecar within {PATIENCE_S:.0f} s. Look whether the "
                    "disk of --output is full, or run edge-daemon by hand to see why."
                )
        found: Path = record.returned[0]
        return found

    def one_by_one(self, number: int) -> Path:
        """Both; for the warm-up."""
        self.write_one(number)
        return self.close_one(number)

    def task(self, subject: str, threads: int) -> Task:
        """A single stream: close one image, wait for its sidecar."""
        return Task(
            subject,
            "file",
            self.close_one,
            stages=sidecar_stages,
            prepare=self.write_one,
            threads=threads,
        )


@contextmanager
def file_level(
    bundle: Bundle, images: list[Path], folder: Path, start: DaemonStart, clock: Clock
) -> Iterator[FileService]:
    """The daemon, watching a new export folder in `folder`.

    Args:
        images: their bytes are written in turn.
        folder: an empty folder on the disk whose speed is to be measured.

    Raises:
        EdgeError: the daemon did not start.
    """
    contents = [path.read_bytes() for path in images]
    for name in ("export", "results"):
        (folder / name).mkdir(parents=True)
    results = {"results": {"folder": str((folder / "results").resolve())}}
    config = write_config(folder, bundle, {**results, **start.settings})
    with (
        running(config, start) as service,
        FileService(service, folder, contents, clock) as found,
    ):
        # A burst has all its files open. The daemon keeps the limit that it has in production.
        allow_open_files()
        yield found


def sidecar_stages(sidecar: Path, duration_ns: int) -> Stages:
    """The stages that a sidecar tells, and what the service took beside them.

    Raises:
        EdgeError: the image got no label.
    """
    fields = read_sidecar(sidecar)
    timing_ms = fields["timing_ms"]
    stages = {name: round(timing_ms[name] * 1e6) for name in ("decode", "preprocess", "infer")}
    return {**stages, "service": max(0, duration_ns - sum(stages.values()))}


def read_sidecar(sidecar: Path) -> dict[str, Any]:
    """The fields of a sidecar of an image that was not rejected.

    Raises:
        EdgeError: the image was rejected.
    """
    fields: dict[str, Any] = json.loads(sidecar.read_bytes())
    if fields["status"] == "rejected":
        raise EdgeError(f"an image was rejected ({fields['reason']}). Give images that decode.")
    return fields
