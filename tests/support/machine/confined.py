"""Code run in a process that has restricted itself as the loading child does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from edge.system import kernel

# Refuse a system call as a kernel without it does, so that its absence is a real one.
_REFUSE = """
import ctypes, errno, struct
from edge.system import kernel
kernel.forbid_new_privileges()
def refuse(number, code, option=None):
    option_test = [] if option is None else [(0x20, 0, 0, 16), (0x15, 0, 1, option)]
    steps = [(0x20, 0, 0, 0), (0x15, 0, len(option_test) + 1, number), *option_test,
             (6, 0, 0, 0x50000 | code), (6, 0, 0, 0x7FFF0000)]
    content = b"".join(struct.pack("=HBBI", *step) for step in steps)
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_char_p)]
    kernel.prctl(22, 2, ctypes.byref(Program(len(steps), content)))
"""
NO_LANDLOCK = _REFUSE + "refuse(444, errno.EOPNOTSUPP)\n"
NO_SECCOMP = _REFUSE + (
    "import platform\n"
    "refuse({'x86_64': 157, 'aarch64': 167}[platform.machine()], errno.EINVAL, 22)\n"
)


def has_landlock() -> bool:
    """Whether this kernel has it and it is switched on."""
    try:
        kernel.syscall(444, None, 0, 1)
    except OSError:
        return False
    return True


def run_confined(
    folder: Path, code: str, *, before: str = "", search_path: tuple[Path, ...] = ()
) -> dict[str, Any]:
    """Run `code` after `confine(folder)`; gives what it put into `found`, and the guards.

    `attempt(f, *a)` in it gives "done" or the name of the error.
    """
    program = f"""
import json, os, sys
from pathlib import Path
{before}
from converters.loading.sandbox.confine import confine
found = {{"guards": confine(Path({str(folder)!r}))}}
def attempt(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return type(error).__name__
    return "done"
{code}
print(json.dumps(found))
"""
    entries = [*map(str, search_path), *(str(Path(entry).absolute()) for entry in sys.path)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entries)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
