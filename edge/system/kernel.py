"""Linux system calls that Python has no function for, and limits of this process."""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress
from typing import Any, Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_TIMERSLACK: Final = 29
_PR_SET_NO_NEW_PRIVS: Final = 38


def syscall(number: int, *arguments: Any) -> int:
    """One system call by its number; arguments are ints, ctypes references or None.

    Raises:
        OSError: the kernel refused it.
    """
    return _checked(_LIBC.syscall(ctypes.c_long(number), *map(_word, arguments)))


def called(name: str, *arguments: Any) -> int:
    """The result of a function of the C library.

    Raises:
        OSError: the kernel refused it.
    """
    return _checked(getattr(_LIBC, name)(*arguments))


def prctl(option: int, *arguments: Any) -> int:
    """Change a setting of this process, by its number in linux/prctl.h.

    Raises:
        OSError: the kernel refused it.
    """
    padded = [*arguments, 0, 0, 0, 0][:4]
    return _checked(_LIBC.prctl(ctypes.c_int(option), *map(_word, padded)))


def signal_at_end_of_parent(number: int) -> None:
    """Send this process the signal when the thread that started it ends."""
    prctl(_PR_SET_PDEATHSIG, number)


def sharpen_sleep() -> None:
    """Let the calling thread wake up at the time it asked for; Linux adds up to 50 us by default.

    The threads that it starts take this over.
    """
    with suppress(OSError):
        prctl(_PR_SET_TIMERSLACK, 1)


def allow_open_files() -> None:
    """Let this process have as many files open as the administrator allows; often 1,024 at first.

    Programs that use select() on high descriptors would break, which is why it is not the default.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def forbid_new_privileges() -> None:
    """Deny new privileges to this process and its children; seccomp filters require this."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _word(argument: Any) -> Any:
    # ctypes passes a plain int in 32 bits.
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
