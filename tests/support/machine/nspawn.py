"""A real systemd as process 1: this machine's own root, under an overlay that is thrown away.

Needs root and systemd-nspawn (Debian: systemd-container), which SYSTEMD_NSPAWN may name where it
is not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BOOT_S: Final = 20.0
_STOP_S: Final = 20.0
# What a shell within has; the environment of this process names folders of the outside.
_ENVIRONMENT: Final = ("/usr/bin/env", "-i", "PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin")


class CannotBootError(Exception):
    """There is no systemd to be had here; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A booted system; `leader` is its process 1, seen from outside."""

    leader: int

    def at(self, path: str) -> Path:
        """A path of the machine, seen from outside, with what is mounted there."""
        return Path(f"/proc/{self.leader}/root") / path.removeprefix("/")

    def run(self, *argv: str, is_checked: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command within, as root."""
        result = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", *_ENVIRONMENT, *argv],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert not is_checked or result.returncode == 0, (argv, result.stdout, result.stderr)
        return result

    def show(self, unit: str, name: str) -> str:
        """A property of a unit, as systemd has it."""
        return self.run("systemctl", "show", unit, "--value", "-p", name).stdout.strip()

    def log(self, unit: str) -> str:
        """What a unit has logged, and systemd about it."""
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit).stdout


@contextmanager
def booted(scratch: Path, binds: dict[Path, str]) -> Iterator[Machine]:
    """Boot, and throw everything away afterwards.

    Args:
        scratch: an empty folder.
        binds: folders of this machine that are seen there, read-only.

    Raises:
        CannotBootError: this machine cannot do it.
    """
    nspawn = os.environ.get("SYSTEMD_NSPAWN") or shutil.which("systemd-nspawn")
    if nspawn is None:
        raise CannotBootError("systemd-nspawn is not installed (Debian: systemd-container)")
    if os.geteuid() != 0:
        raise CannotBootError("systemd-nspawn needs root")
    with _overlay(scratch) as root:
        argv = [nspawn, "-D", str(root), "--boot", f"--machine=edge-test-{os.getpid()}"]
        # Neither a systemd outside nor a terminal is needed, and no network is to be had.
        argv += ["--register=no", "--keep-unit", "--console=read-only", "--link-journal=no"]
        argv += ["--private-network"]
        argv += [f"--bind-ro={outside}:{inside}" for outside, inside in binds.items()]
        log = scratch / "boot.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*argv, "systemd.unit=basic.target"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Machine(_leader(process, log))
        finally:
            _power_off(process)


@contextmanager
def _overlay(scratch: Path) -> Iterator[Path]:
    """This machine's root; what is written there stays in memory."""
    memory = scratch / "memory"
    memory.mkdir()
    _mount("-t", "tmpfs", "-o", "size=512m", "tmpfs", str(memory))
    try:
        root, upper, work = (memory / name for name in ("root", "upper", "work"))
        for folder in (root, upper, work):
            folder.mkdir()
        _mount("-t", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", "x", str(root))
        try:
            units = root / "etc" / "systemd" / "system"
            units.mkdir(parents=True, exist_ok=True)
            for wanted in units.glob("*.wants"):
                shutil.rmtree(wanted)
            # Of its own, made at the boot.
            (root / "etc" / "machine-id").unlink(missing_ok=True)
            yield root
        finally:
            subprocess.run(["umount", "--lazy", str(root)], check=False)
    finally:
        subprocess.run(["umount", "--lazy", str(memory)], check=False)


def _mount(*words: str) -> None:
    result = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise CannotBootError(f"mount {words[1]} is refused: {result.stderr.strip()}")


def _leader(process: subprocess.Popen[bytes], log: Path) -> int:
    """The machine's process 1, once the machine is up."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    end = time.monotonic() + _BOOT_S
    while process.poll() is None and time.monotonic() < end:
        found = children.read_text().split()
        if found and _is_up(int(found[0])):
            return int(found[0])
        time.sleep(0.1)
    tail = log.read_text(errors="replace").strip().splitlines()[-1:]
    raise CannotBootError(f"systemd-nspawn does not boot here: {tail}")


def _is_up(leader: int) -> bool:
    command = ["systemctl", "is-active", "basic.target"]
    with suppress(subprocess.TimeoutExpired):
        result = subprocess.run(
            ["nsenter", "-t", str(leader), "-a", *_ENVIRONMENT, *command],
            capture_output=True,
            check=False,
            timeout=5,
        )
        return result.returncode == 0
    return False


def _power_off(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # What --keep-unit leaves in this process's control group.
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    paths = {line.rpartition(":")[2].lstrip("/") for line in groups}
    for mount in Path("/sys/fs/cgroup").glob("*") if Path("/sys/fs/cgroup").is_dir() else ():
        for path in paths:
            for name in ("payload", "supervisor"):
                _remove_groups(mount / path / name)


def _remove_groups(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            Path(path).rmdir()
