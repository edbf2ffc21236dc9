"""Tests for daemon.log.queue: readers that stand still, come back, or are gone."""

from __future__ import annotations

import errno
import logging
import os
import pty
import select
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.health.health import Health
from daemon.health.metrics import Metrics
from daemon.log import queue as log_queue
from daemon.log.queue import MOST_BYTES, QueuedHandler, QueuedScreen

_ROOT = Path(__file__).parents[3]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        os.close(descriptor)


class Clock:
    """Is asked when the writer has taken a line out of the queue and begins to write it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.is_asked = threading.Event()

    def __call__(self) -> float:
        self.is_asked.set()
        return self.now_s


def logger_of(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("a test")  # noqa: LOG001 - of this test alone
    logger.addHandler(handler)
    return logger


def fill(descriptor: int) -> int:
    """Fill a pipe to its brim; gives how many bytes it took."""
    os.set_blocking(descriptor, False)
    count = 0
    try:
        while True:
            count += os.write(descriptor, b".")
    except BlockingIOError:
        os.set_blocking(descriptor, True)
        return count


def lines_of(reader: int, last: str) -> list[str]:
    """Read lines until one ends so."""
    text = ""
    while not text.endswith(f"{last}\n"):
        assert select.select([reader], [], [], 20)[0], f"{last!r} did not come after {text[-300:]}"
        text += os.read(reader, 65536).decode()
    return text.splitlines()


def test_reader_that_stands_still_holds_nobody_up_and_is_told_what_it_missed(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    filled = fill(writer)
    clock = Clock()
    handler = QueuedHandler(writer, most_bytes=70, clock=clock)
    logger = logger_of(handler)
    logger.info("first")
    assert clock.is_asked.wait(20)
    for number in range(13):
        logger.info("line %d", number)
    logger.error("bad")
    assert handler.dropped == {"info": 3, "error": 1}
    assert handler.problem == ""
    clock.now_s = 6.0
    assert handler.problem == "nobody reads the log; lines that do not fit its queue are dropped"
    while filled:
        filled -= len(os.read(reader, filled))
    told = "4 log lines were dropped (1 error, 3 info), as nobody read the log"
    assert lines_of(reader, told) == ["first", *(f"line {n}" for n in range(10)), told]
    logger.info("again")
    assert lines_of(reader, "again") == ["again"]
    handler.flush()
    assert handler.problem == ""


def test_end_of_the_process_waits_for_a_reader_that_reads(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    handler = QueuedHandler(writer)
    logger = logger_of(handler)
    for number in range(100):
        logger.info("line %d", number)
    handler.finish()
    assert lines_of(reader, "line 99") == [f"line {number}" for number in range(100)]
    os.write(writer, b"still open\n")
    assert lines_of(reader, "still open") == ["still open"]


def test_end_of_the_process_waits_for_no_reader_that_stands_still(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_queue, "_FLUSH_S", 0.05)
    writer = os.dup(pipe[1])
    fill(writer)
    handler = QueuedHandler(writer)
    logger_of(handler).error("the last word")
    handler.finish()
    # Whatever else the process would write there does not wait either.
    assert os.write(writer, b"x" * 1_000_000) == 1_000_000
    logger_of(handler).error("after the end")
    os.close(writer)


def test_pipe_whose_reader_is_gone_is_told_and_raises_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    handler = QueuedHandler(writer)
    logger = logger_of(handler)
    logger.warning("lost")
    handler.flush()
    assert handler.dropped == {"warning": 1}
    assert handler.problem == f"the log cannot be written ({os.strerror(errno.EPIPE)})"
    os.close(writer)
    logger.warning("lost as well")
    handler.flush()
    assert handler.problem == f"the log cannot be written ({os.strerror(errno.EBADF)})"
    assert capfd.readouterr() == ("", "")


def test_line_that_cannot_be_made_is_named_by_its_place(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    handler = QueuedHandler(writer)
    logger_of(handler).warning("%d images", "S123/a.jpg")
    handler.flush()
    (line,) = os.read(reader, 4096).decode().splitlines()
    assert line.startswith("the log line of a test:")
    assert "S123" not in line


def test_terminal_that_was_stopped_does_not_hold_up_the_progress_line() -> None:
    leader, follower = pty.openpty()
    termios.tcflow(follower, termios.TCOOFF)
    handler = QueuedHandler(follower)
    screen = QueuedScreen(handler)
    assert screen.isatty()
    for _ in range(2 * MOST_BYTES // 1000):
        screen.write(f"\r0{'x' * 1000}")
    assert handler.dropped == {}
    termios.tcflow(follower, termios.TCOON)
    assert select.select([leader], [], [], 20)[0]
    assert os.read(leader, 2) == b"\r0"
    os.close(leader)
    handler.finish()
    os.close(follower)


def test_dropped_lines_are_a_metric(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    fill(pipe[1])
    clock = Clock()
    handler = QueuedHandler(pipe[1], most_bytes=25, clock=clock)
    monkeypatch.setattr(logging.getLogger("daemon"), "handlers", [handler])
    logger = logger_of(handler)
    logger.warning("in the writer's hand")
    assert clock.is_asked.wait(20)
    for _ in range(3):
        logger.warning("one too many")
    text = Metrics(Health()).text().decode()
    assert '\nmicroscope_edge_log_lines_dropped_total{level="warning"} 2.0\n' in text
    assert '\nmicroscope_edge_log_lines_dropped_total{level="error"} 0.0\n' in text
    lines_of(pipe[0], "(2 warning), as nobody read the log")


def test_command_without_standard_descriptors_gives_its_exit_code_and_harms_no_file(
    tmp_path: Path,
) -> None:
    """A file that is opened first would get the number of stderr, and the errors with it."""
    missing = tmp_path / "missing.yaml"
    code = (
        "import os, sys; [os.close(n) for n in (0, 1, 2)]; "
        "sys.stdin = sys.stdout = sys.stderr = None; "
        "from daemon.cli import main; "
        f"code = main(['check-config', '--config', {str(missing)!r}]); "
        "found = [os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)]; "
        "os._exit(code if found == [os.devnull] * 3 else 99)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=False).returncode == 2


def test_command_whose_stderr_is_a_closed_pipe_gives_its_exit_code(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = ["check-config", "--config", str(tmp_path / "missing.yaml")]
    command = [sys.executable, "-m", "daemon.cli", *words]
    assert subprocess.run(command, cwd=_ROOT, stderr=writer, check=False).returncode == 2
    os.close(writer)
