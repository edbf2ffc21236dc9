"""Run a command with low limits of inotify, in a user namespace of its own.

    python -m tests.support.machine.userns WATCHES INSTANCES COMMAND...

`-` in place of a number leaves that limit alone.

Writing to /proc/sys/fs/inotify would change the limits of the whole machine.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CLONE_NEWUSER = 0x10000000


def main() -> None:
    """Become the command; 77 where this user may not have a namespace."""
    watches, instances, *command = sys.argv[1:]
    unshared, is_unshared = os.pipe()
    mapped, is_mapped = os.pipe()  # a child that fails closes it unwritten
    parent, child = os.getpid(), os.fork()
    if child == 0:  # still outside, where the maps of its parent may be written
        os.read(unshared, 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{parent}/{name}").write_text("0 0 65536")
        os.write(is_mapped, b"x")
        os._exit(0)
    if ctypes.CDLL(None).unshare(_CLONE_NEWUSER) != 0:
        os.kill(child, 9)
        sys.exit(77)
    os.close(is_mapped)
    os.write(is_unshared, b"x")
    os.waitpid(child, 0)
    if os.read(mapped, 1) != b"x":
        sys.exit(77)
    for name, limit in (("watches", watches), ("instances", instances)):
        if limit != "-":
            Path(f"/proc/sys/user/max_inotify_{name}").write_text(limit)
    os.execvp(command[0], command)  # noqa: S606 - a test's own command


if __name__ == "__main__":
    main()
