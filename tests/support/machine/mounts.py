"""File systems that tests mount: small, full, read-only, cut off from power, or with faults."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
# EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, linux/fs/ext4/ext4.h: the file system stops
# at once and what was not synchronised is lost, as in a power cut.
_EXT4_IOC_SHUTDOWN = 0x8004587D
_NOLOGFLUSH = 2


@dataclass
class Mount:
    """A file system at `folder`."""

    folder: Path

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.folder / "filler").open("wb", buffering=0) as file:
            for size_bytes in (65536, 4096, 1):
                try:
                    while file.write(bytes(size_bytes)):
                        pass
                except OSError:
                    continue

    def make_room(self) -> None:
        """Take back what `fill` took."""
        (self.folder / "filler").unlink()

    def remount(self, options: str) -> None:
        """Change it while it is in use: `ro`, `rw`, `size=1m`."""
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)


@dataclass
class Ext4(Mount):
    """An ext4 with a journal, in a file."""

    image: Path

    def cut_power(self) -> None:
        """Every operation from now on fails; what was not synchronised is gone."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
        finally:
            os.close(descriptor)

    def restart(self) -> None:
        """Mount it again, as after the power cut."""
        # The file system is busy while a worker tries to write.
        until(self._unmounts, timeout_s=5, poll_s=0.02)
        _mount_or_skip("-o", "loop", str(self.image), str(self.folder))

    def _unmounts(self) -> bool:
        return not subprocess.run(["umount", str(self.folder)], check=False).returncode


@dataclass
class FaultMount(Mount):
    """A passing-through file system over `backing`; `fail` says what goes wrong from now on."""

    backing: Path
    control: Path

    def fail(self, *rules: dict[str, Any]) -> None:
        """Replace the rules, see `tests.support.machine.faultfs.Rule`; without any all is well."""
        new = self.control.with_suffix(".new")
        new.write_text(json.dumps({"rules": rules}))
        new.replace(self.control)


@contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Mount]:
    """A file system in memory, such as `size=256k` or `nr_inodes=20`."""
    folder.mkdir(exist_ok=True)
    _mount_or_skip("-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        yield Mount(folder)
    finally:
        _unmount(folder)


@contextmanager
def ext4(folder: Path, *, size_mb: int = 16) -> Iterator[Ext4]:
    """A real disk file system, with its journal."""
    folder.mkdir(exist_ok=True)
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(size_mb << 20)
    made = subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=False, capture_output=True)
    if made.returncode:
        pytest.skip("mkfs.ext4 is not here")
    _mount_or_skip("-o", "loop", str(image), str(folder))
    try:
        yield Ext4(folder, image)
    finally:
        _unmount(folder)


@contextmanager
def faultfs(folder: Path, *options: str) -> Iterator[FaultMount]:
    """A file system that fails when told to; options as of `tests.support.machine.faultfs`."""
    if importlib.util.find_spec("mfusepy") is None or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("a fault-injecting file system needs mfusepy and /dev/fuse")
    folder.mkdir(exist_ok=True)
    mount = FaultMount(folder, folder.with_suffix(".backing"), folder.with_suffix(".json"))
    mount.backing.mkdir()
    mount.fail()
    words = [str(mount.backing), str(folder), str(mount.control), *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.machine.faultfs", *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            _await_mount(folder, process)
            yield mount
        finally:
            mount.fail()
            _unmount(folder)
            process.kill()


def _await_mount(folder: Path, process: subprocess.Popen[bytes]) -> None:
    until(lambda: os.path.ismount(folder) or process.poll() is not None, timeout_s=10)
    if process.poll() is not None:
        assert process.stderr is not None
        errors = process.stderr.read().decode()
        pytest.skip(f"a fault-injecting file system cannot be mounted: {errors[-200:]}")


def _mount_or_skip(*words: str) -> None:
    try:
        done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("mount is not here")
    if done.returncode:
        pytest.skip(f"this user cannot mount: {done.stderr.strip()}")


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)
