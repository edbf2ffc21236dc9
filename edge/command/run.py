"""Runs a command and turns its errors into an exit code and one line on stderr."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final, NoReturn, TextIO

from edge.command.output import checked
from edge.errors import EdgeError, StorageError
from edge.system.children import end_with_parent
from edge.text.printable import printable, printable_lines

# The shell's exit code for a program that SIGINT ended.
INTERRUPTED: Final = 130
# The text of an unexpected error of a library may fill pages.
_LONGEST_TEXT: Final = 300
# Our own errors may quote the content of a file.
_LONGEST_LINE: Final = 5000


def run_command(
    command: Callable[[], int | None],
    *,
    debug: bool = False,
    on_interrupt: str = "interrupted.",
    is_private: bool = False,
    tidies_up: bool = False,
) -> int:
    """Run a command; returns its exit code, or that of the error it raised.

    Args:
        command: does the work and returns its exit code; None is 0.
        debug: show the traceback as well.
        on_interrupt: the error line when a person stops the command.
        is_private: of unexpected errors, show only type and place: their text may contain an
            image's path, and with it a sample id.
        tidies_up: let SIGTERM and SIGHUP raise KeyboardInterrupt as Ctrl-C does, so that scratch
            files and child processes are removed; for commands without own signal handlers.
    """
    end_with_parent(signal.SIGTERM)
    _fill_standard_descriptors()
    # A name with characters that the terminal's encoding lacks must not stop the command.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    stdout, sys.stdout = sys.stdout, checked(sys.stdout)
    exit_code = 0
    try:
        with _interrupted_by_signals() if tidies_up else nullcontext():
            exit_code = command() or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        _print_errors(on_interrupt)
        exit_code = INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe. What a command has found out stays.
        pass
    except Exception as error:  # noqa: BLE001 - the end of the program
        exit_code = _tell(error, debug=debug, is_private=is_private)
    finally:
        sys.stdout = stdout
    try:
        stdout.flush()
    except OSError:
        # It is told, or the reader has gone. Python flushes stdout again at exit.
        _discard(stdout)
    return exit_code


def _tell(error: Exception, *, debug: bool, is_private: bool) -> int:
    """Print an error; returns the exit code."""
    if debug:
        _write(printable_lines("".join(traceback.format_exception(error))))
    is_told = _print_errors(*_lines(error, is_private=is_private))
    if isinstance(error, EdgeError):
        return error.exit_code
    # Of a full disk below standard error, the exit code alone can tell.
    is_stderr = isinstance(error, OSError) and not is_told
    return StorageError.exit_code if is_stderr else EdgeError.exit_code


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first of these signals; ignore later ones, for clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # Signals that are ignored, such as SIGHUP under nohup, stay ignored.
    before = {n: signal.getsignal(n) for n in signals if signal.getsignal(n) is not signal.SIG_IGN}

    def interrupt(*_: object) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    try:
        for number in before:
            signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_process(exit_code: int) -> NoReturn:
    """End the process at once, without the interpreter's own shutdown.

    A daemon thread may still be in native code, such as an inference. The interpreter's shutdown
    would terminate it there, to which C++ reacts with abort(3).
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(exit_code)


def _print_errors(*lines: str) -> bool:
    # A line may contain a file name, which may contain control characters.
    return _write("".join(f"error: {printable(line)}\n" for line in lines))


def _write(text: str) -> bool:
    """Write to stderr; returns whether it could be written."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        # stderr was closed. The exit code still reports the error.
        _discard(sys.stderr)
        return False
    return True


def _discard(stream: TextIO) -> None:
    """Redirect a stream to /dev/null, so that the flush at exit does not fail."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fill_standard_descriptors() -> None:
    """Open /dev/null in place of stdin, stdout or stderr that the caller has closed.

    Otherwise the next opened file would get that number, and error messages would be written
    into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # open() returns the lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003
    # Python sets them to None if the descriptor was closed when it started.
    sys.stdout = sys.stdout or _open_null()
    sys.stderr = sys.stderr or _open_null()


def _open_null() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _lines(error: Exception, *, is_private: bool) -> list[str]:
    if isinstance(error, EdgeError):
        return [line[:_LONGEST_LINE] for line in str(error).split("\n")]
    text = "" if is_private else " ".join(str(error).split())[:_LONGEST_TEXT]
    what = f"unexpected {type(error).__name__} at {place_of(error)}"
    return [f"{what}{': ' if text else ''}{text}. Run again with --debug."]


def place_of(error: Exception) -> str:
    """File and line in this program, not in a library, at which the error occurred."""
    packages = Path(__file__).parents[2]
    own = [packages / name for name in ("edge", "daemon", "converters")]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if any(Path(frame.filename).is_relative_to(package) for package in own):
            return f"{Path(frame.filename).relative_to(packages)}:{frame.lineno}"
    return "an unknown place"
