"""A real mounted file system that passes everything through, except for the faults asked for.

    python -m tests.support.machine.faultfs BACKING MOUNT CONTROL.json [fold]

With `fold` it does not tell `A` from `a`, nor one Unicode form from another, as shares do.

Needs mfusepy, libfuse 3 and /dev/fuse. `FaultMount` in mounts.py starts it. The control file
(replaced as a whole, read again at the next operation) holds the rules of `Rule`:

    {"rules": [{"op": "fsync", "error": "EIO", "path": "/*.tmp", "after": 2, "times": 1}]}
"""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import sys
import threading
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mfusepy

_GROUPS = {
    "meta": {"getattr", "readdir", "opendir", "mkdir", "rename", "unlink", "create"},
    "data": {"read", "write", "fsync", "truncate", "flush"},
}
_STAT = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino", "st_blocks")
_STATFS = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files")


@dataclass
class Rule:
    """One fault.

    `op` is a method of `FaultFS`, "rename_to" for the new name, a group, or "*". `error` is an
    errno's name; "drop" makes a write say that all is well while bytes past `keep` never reach the
    disk; without one the operation is only late by `delay_s`. `path` is a pattern of the path below
    the mount. The first `after` operations that match pass, the `times` after them are hit.
    """

    op: str
    error: str | None = None
    path: str = "*"
    after: int = 0
    times: float = float("inf")
    delay_s: float = 0.0
    keep: int = 0
    seen: int = 0

    def strikes(self, op: str, path: str) -> bool:
        """Whether this operation is hit; counts it."""
        if self.op not in ("*", op) and op not in _GROUPS.get(self.op, ()):
            return False
        if not fnmatch.fnmatchcase(path, self.path):
            return False
        self.seen += 1
        return self.after < self.seen <= self.after + self.times


class Control:
    """The rules of the control file as it is now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def hit(self, op: str, path: str) -> Rule | None:
        """The first rule that strikes now, after its delay.

        Raises:
            FuseOSError: the rule has an error.
        """
        with self._lock:
            self._read()
            rule = next((rule for rule in self._rules if rule.strikes(op, path)), None)
        if rule:
            time.sleep(rule.delay_s)
            if rule.error and rule.error != "drop":
                raise mfusepy.FuseOSError(getattr(errno, rule.error))
        return rule

    def _read(self) -> None:
        status = self._path.stat()
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            rules: list[Mapping[str, Any]] = json.loads(self._path.read_text())["rules"]
            self._rules = [Rule(**rule) for rule in rules]
            self._stamp = stamp


class FaultFS(mfusepy.Operations):  # type: ignore[misc, unused-ignore]
    """The operations that the daemon, SQLite and the tests need."""

    use_ns = True

    def __init__(self, backing: Path, control: Control, *, folds: bool = False) -> None:
        self._root = str(backing)
        self._control = control
        self._folds = folds

    def _at(self, op: str, path: str) -> str:
        self._control.hit(op, path)
        return self._backed(path)

    def _backed(self, path: str) -> str:
        if not self._folds:
            return self._root + path
        found = Path(self._root)
        for name in path.strip("/").split("/"):
            names = os.listdir(found) if found.is_dir() else []  # noqa: PTH208
            found /= next((one for one in names if _folded(one) == _folded(name)), name)
        return str(found)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        full = self._at("getattr", path)
        status = os.fstat(fh) if fh else os.lstat(full)
        fields = {name: getattr(status, name) for name in _STAT}
        times = ("st_atime", "st_mtime", "st_ctime")
        return fields | {name: getattr(status, f"{name}_ns") for name in times}

    def readdir(self, path: str, _fh: int) -> list[tuple[str, dict[str, int], int]]:
        full = self._at("readdir", path)
        found = [(name, os.lstat(f"{full}/{name}")) for name in (".", "..", *os.listdir(full))]  # noqa: PTH208
        # Without an inode the C library takes an entry for a deleted one.
        return [(name, {"st_ino": s.st_ino, "st_mode": s.st_mode}, 0) for name, s in found]

    def opendir(self, path: str) -> int:
        self._at("opendir", path)
        return 0

    def open(self, path: str, flags: int) -> int:
        return os.open(self._at("open", path), flags & ~os.O_NOFOLLOW)

    def create(self, path: str, mode: int, _fi: object = None) -> int:
        return os.open(self._at("create", path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self._control.hit("read", path)
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        rule = self._control.hit("write", path)
        if rule and rule.error == "drop":
            os.pwrite(fh, data[: max(0, rule.keep - offset)], offset)
            return len(data)
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, _fh: int | None = None) -> None:
        os.truncate(self._at("truncate", path), length)

    def fsync(self, path: str, _datasync: int, fh: int) -> None:
        self._control.hit("fsync", path)
        os.fsync(fh)

    def fsyncdir(self, path: str, _datasync: int, _fh: int) -> None:
        self._control.hit("fsyncdir", path)

    def flush(self, path: str, _fh: int) -> None:
        # Its error is what close(2) returns.
        self._control.hit("flush", path)

    def release(self, _path: str, fh: int) -> None:
        os.close(fh)

    def statfs(self, path: str) -> dict[str, int]:
        status = os.statvfs(self._at("statfs", path))
        return {name: getattr(status, name) for name in (*_STATFS, "f_frsize", "f_namemax")}

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._at("mkdir", path), mode)  # noqa: PTH102 - all paths here are strings

    def rmdir(self, path: str) -> None:
        os.rmdir(self._at("rmdir", path))  # noqa: PTH106

    def unlink(self, path: str) -> None:
        os.unlink(self._at("unlink", path))  # noqa: PTH108

    def rename(self, old: str, new: str) -> None:
        old = self._at("rename", old)
        os.rename(old, self._at("rename_to", new))  # noqa: PTH104

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self._at("chmod", path), mode)  # noqa: PTH101

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.chown(self._at("chown", path), uid, gid, follow_symlinks=False)

    def utimens(self, path: str, times: tuple[int, int] = (0, 0)) -> None:
        os.utime(self._at("utimens", path), ns=times, follow_symlinks=False)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def main() -> None:
    backing, mount, control = (Path(word) for word in sys.argv[1:4])
    os.umask(0)
    mfusepy.FUSE(
        FaultFS(backing.absolute(), Control(control), folds="fold" in sys.argv[4:]),
        str(mount),
        foreground=True,
        fsname="faultfs",
        subtype="faultfs",
        default_permissions=True,
        use_ino=True,
        # What the kernel keeps is not asked again and could not fail.
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
    )


if __name__ == "__main__":
    main()
