"""Acts on signals in a thread.

Python runs a signal handler inside the main thread, which may hold the lock of an event, a queue or
the log. A handler that needs the same lock would wait for ever. So the handlers do nothing: the
interpreter writes each signal's number to a pipe, and a thread that reads the pipe acts.
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
    """Call an action for every signal during the block. For the main thread only.

    Args:
        actions: by signal; called one after the other in another thread.
        then_ignored: whether the signals are ignored after the block, so that a process that is
            about to end keeps its exit code; otherwise the former handlers are restored.

    Raises:
        OSError: no descriptor is left for the pipe.
        RuntimeError: no thread can be started.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    # The interpreter writes in the main thread, which must not wait for a full pipe.
    os.set_blocking(writer, False)
    thread = threading.Thread(target=_act, args=(reader, actions), name="signals", daemon=True)
    thread.start()
    # No warning for a full pipe: thousands of signals are then queued already.
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _do_nothing) for number in actions}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_IGN if then_ignored else handler)
        signal.set_wakeup_fd(before)
        # The thread ends when the pipe is closed. Not joined, as its current action may hang.
        os.close(writer)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Replace the default action of the signal."""


def _act(reader: int, actions: Mapping[signal.Signals, Callable[[], None]]) -> None:
    by_number = {int(name): action for name, action in actions.items()}
    with os.fdopen(reader, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            # The pipe also gets other signals that have a Python handler.
            if action := by_number.get(number[0]):
                _try(action)


def _try(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception as error:  # noqa: BLE001 - the thread must act on the next signal
        log.error("acting on a signal failed: %s", type(error).__name__)  # noqa: TRY400
