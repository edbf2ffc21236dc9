"""Signals as calls in a thread of their own.

A handler of Python's runs in the middle of whatever the main thread does, also while that holds the
lock of an event, a queue or the log: a handler that wants the same lock waits for itself for ever.
So the handlers do nothing. The interpreter writes each signal's number to a pipe, which takes no
lock, and a thread that reads the pipe acts.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)


@contextmanager
def acting_on_signals(
    actions: Mapping[signal.Signals, Callable[[], None]], *, then_ignored: bool = False
) -> Iterator[None]:
    """Call an action for every signal that comes while the block runs; in the main thread only.

    Args:
        actions: by the number of the signal; called one after the other in another thread.
        then_ignored: whether the signals do nothing after the block, for a process that is about
            to end with an exit code of its own; otherwise they do what they did before it.

    Raises:
        OSError: there is no descriptor left for the pipe.
        RuntimeError: there is no thread to be had.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    # The interpreter writes in the middle of anything, and must not wait.
    os.set_blocking(writer, False)
    thread = threading.Thread(target=_act, args=(reader, actions), name="signals", daemon=True)
    thread.start()
    # A pipe that is full holds thousands of signals that are not acted on yet: enough is asked.
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _do_nothing) for number in actions}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_IGN if then_ignored else handler)
        signal.set_wakeup_fd(before)
        # The thread ends with the pipe, after the action that it is in, which may hang.
        os.close(writer)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Be there, so that the signal does not do what it does by default."""


def _act(reader: int, actions: Mapping[signal.Signals, Callable[[], None]]) -> None:
    by_number = {int(name): action for name, action in actions.items()}
    with os.fdopen(reader, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            # Other signals for which somebody set a handler are written to the pipe as well.
            if action := by_number.get(number[0]):
                _try(action)


def _try(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception as error:  # noqa: BLE001 - the next signal must find this thread
        log.error("a signal could not be acted on (%s)", type(error).__name__)  # noqa: TRY400
