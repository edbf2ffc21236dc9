"""seccomp denies system calls to this process (seccomp(2)).

Denied are network access, new processes, signals to other processes, changes of a file's mode or
owner, and calls for root. A denied call fails with EPERM; a call newer than the list with ENOSYS.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import Final

from converters.loading.sandbox import syscalls as calls
from edge.system import kernel

_PR_SET_SECCOMP: Final = 22
_FILTER: Final = 2
# Offsets in `struct seccomp_data`; columns in `syscalls`, and processors' numbers in linux/audit.h.
_NUMBER_AT: Final = 0
_PROCESSOR_AT: Final = 4
_FIRST_ARGUMENT_AT: Final = 16
_PROCESSORS: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
# Bit in the numbers of x86-64's 32-bit calls.
_X32: Final = 0x40000000
_THREAD: Final = 0x00010000
_PR_SET_PDEATHSIG: Final = 1

_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW: Final = 0x7FFF0000
_END_PROCESS: Final = 0x80000000
_DENY: Final = 0x00050000 | errno.EPERM
_UNKNOWN: Final = 0x00050000 | errno.ENOSYS

Instruction = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def restrict() -> str:
    """Install the filter, which cannot be removed, in this process; returns "seccomp".

    Raises:
        OSError: the kernel has no filters, or the processor is not known.
    """
    machine = platform.machine()
    if machine not in _PROCESSORS:
        raise OSError(errno.ENOSYS, f"processor {machine}")
    program = filter_program(machine, os.getpid())
    content = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    kernel.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(_Program(len(program), content)))
    return "seccomp"


def filter_program(machine: str, own_process: int) -> list[Instruction]:
    """The BPF program; an instruction is (code, jump if true, jump if false, value)."""
    column, processor = _PROCESSORS[machine]
    denied = sorted(n for numbers in calls.DENIED.values() if (n := numbers[column]) is not None)
    return [
        (_LOAD, 0, 0, _PROCESSOR_AT),
        # A call for another architecture, such as 32-bit x86, would have other numbers.
        (_EQUAL, 1, 0, processor),
        (_RETURN, 0, 0, _END_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
        *_if(_AT_LEAST, _X32, _END_PROCESS),
        *_if(_AT_LEAST, calls.NEWEST + 1, _UNKNOWN),
        *_if(_EQUAL, calls.CLONE3, _UNKNOWN),
        *(step for number in denied for step in _if(_EQUAL, number, _DENY)),
        *_unless(calls.CLONE[column], _HAS_BITS, _THREAD),
        *_unless(calls.KILL[column], _EQUAL, own_process),
        *_unless(calls.TGKILL[column], _EQUAL, own_process),
        # The process must not switch off the signal that ends it with its parent.
        *_when_called_with(calls.PRCTL[column], _PR_SET_PDEATHSIG),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _if(test: int, value: int, then: int) -> list[Instruction]:
    return [(test, 0, 1, value), (_RETURN, 0, 0, then)]


def _unless(number: int | None, test: int, value: int) -> list[Instruction]:
    """Deny a call unless its first argument passes the test; other calls go on."""
    return [
        (_EQUAL, 0, 4, number or 0),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (test, 1, 0, value),
        (_RETURN, 0, 0, _DENY),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _when_called_with(number: int | None, value: int) -> list[Instruction]:
    """Deny a call if its first argument is the value."""
    return [
        (_EQUAL, 0, 3, number or 0),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        *_if(_EQUAL, value, _DENY),
    ]
