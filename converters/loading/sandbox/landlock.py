"""Landlock limits the files that this process may read and write (kernel 5.13, landlock(7)).

It applies to the calling thread and to threads that it starts later, so it must be set before
libraries start threads.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.system import kernel

# Numbers of system calls, the same on all processors.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1

_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_TRUNCATE: Final = 1 << 14
_IOCTL_DEVICE: Final = 1 << 15
# The rights of version 1: execute, write, read, list, remove, create.
FIRST_RIGHTS: Final = (1 << 13) - 1
# Later rights by version: move to another folder, truncate, ioctl on devices.
LATER_RIGHTS: Final = {2: 1 << 13, 3: _TRUNCATE, 5: _IOCTL_DEVICE}
# Rights that a rule for a single file may have.
_OF_A_FILE: Final = 1 | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_TCP: Final = 0b11
_OUTSIDE_SOCKETS_AND_SIGNALS: Final = 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _Rule(ctypes.Structure):
    _layout_ = "ms"
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> str:
    """Allow only these files and folders, with everything below; returns the version.

    Missing paths are skipped.

    Raises:
        OSError: the kernel has no Landlock, or it is disabled.
    """
    version = kernel.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    rights = FIRST_RIGHTS
    for needed, right in LATER_RIGHTS.items():
        rights |= right if version >= needed else 0
    attributes = _Ruleset(rights, _TCP, _OUTSIDE_SOCKETS_AND_SIGNALS)
    # Older kernels refuse a structure that is longer than theirs.
    size_bytes = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = kernel.syscall(_CREATE_RULESET, ctypes.byref(attributes), size_bytes, 0)
    try:
        for path in readable:
            _allow(ruleset, path, (_READ_FILE | _READ_DIR) & rights)
        for path in writable:
            _allow(ruleset, path, rights & ~1)
        kernel.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return f"Landlock {version}"


def _allow(ruleset: int, path: Path, rights: int) -> None:
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                rights &= _OF_A_FILE
            rule = _Rule(rights, descriptor)
            kernel.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(descriptor)
