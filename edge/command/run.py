"""How every command ends: with its exit code, and one line for what went wrong."""

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

from edge.errors import EdgeError
from edge.system.children import end_with_parent
from edge.text.printable import printable, printable_lines

# As the shell has it for a program ended by SIGINT.
INTERRUPTED: Final = 130
# An unexpected error of a library may hold pages.
_LONGEST_TEXT: Final = 300
# One of ours may repeat what stood in a file.
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
        on_interrupt: what is said when a person stops it.
        is_private: an unexpected error's text may hold an image's path, and with it a sample id;
            only its kind and place are said.
        tidies_up: SIGTERM and SIGHUP end it as Ctrl-C does, so that it takes away its scratch files
            and its child processes; for commands that do not handle these signals themselves.
    """
    end_with_parent(signal.SIGTERM)
    _fill_standard_descriptors()
    # A name that the terminal's encoding lacks must not end the command.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _interrupted_by_signals() if tidies_up else nullcontext():
            exit_code = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say(on_interrupt)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has what it wanted. Python flushes once more at its end.
        _discard(sys.stdout)
        return 0
    except Exception as error:  # noqa: BLE001 - the end of the program
        if debug:
            _write(printable_lines("".join(traceback.format_exception(error))))
        _say(*_lines(error, is_private=is_private))
        return error.exit_code if isinstance(error, EdgeError) else EdgeError.exit_code
    return exit_code or 0


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt for the first of these signals; later ones do not disturb the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # nohup ignores SIGHUP, and so it stays.
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
    """End without the interpreter's own end, which some threads do not survive.

    A thread that nobody waits for may be in native code then, such as the inference of a check;
    the interpreter ends it there, and C++ answers that with abort(3).
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(exit_code)


def _say(*lines: str) -> None:
    # A line may name a file, whose name anybody may have chosen.
    _write("".join(f"error: {printable(line)}\n" for line in lines))


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        # Nobody reads any more. The exit code tells it all the same.
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Send what a stream holds, and what follows, nowhere: it is flushed at the very end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fill_standard_descriptors() -> None:
    """Where the caller closed stdin, stdout or stderr, take nothing in its place.

    The next file that is opened would get its number, and be written to by whatever writes an
    error there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free: this one, after those below it are taken.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003
    # Python has none where the descriptor was closed at its start.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _lines(error: Exception, *, is_private: bool) -> list[str]:
    if isinstance(error, EdgeError):
        return [line[:_LONGEST_LINE] for line in str(error).split("\n")]
    text = "" if is_private else " ".join(str(error).split())[:_LONGEST_TEXT]
    what = f"unexpected {type(error).__name__} at {place_of(error)}"
    return [f"{what}{': ' if text else ''}{text}. Run again with --debug."]


def place_of(error: Exception) -> str:
    """The last line of this program that the error passed, not of a library below it."""
    packages = Path(__file__).parents[2]
    own = [packages / name for name in ("edge", "daemon", "converters")]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if any(Path(frame.filename).is_relative_to(package) for package in own):
            return f"{Path(frame.filename).relative_to(packages)}:{frame.lineno}"
    return "an unknown place"
