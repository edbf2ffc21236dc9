"""One run of the daemon beside its site: processor time, images labelled, seconds, memory."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.system.installed import installed_command
from tests.campaigns.endurance import done_count, image_path
from tests.campaigns.endurance import site as endurance_site

TICKS: Final = os.sysconf("SC_CLK_TCK")
_AGE_S: Final = 3600
_READY_LIMIT_S: Final = 120.0
_SAMPLE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds since the process began, its processor seconds, images with a label, peak MB."""

    elapsed_s: float
    cpu_s: float
    done: int
    peak_mb: float


def make_site(folder: Path, **settings: Any) -> Path:
    """The site of the endurance campaign with other settings; gives the configuration's path."""
    config = endurance_site(folder)
    config.write_text(json.dumps({**json.loads(config.read_text()), **settings}))
    return config


def add_images(folder: Path, first: int, count: int) -> None:
    """Write images that are an hour old, so that they count as complete."""
    content = (folder / "image.jpg").read_bytes()
    then = time.time() - _AGE_S
    for number in range(first, first + count):
        path = image_path(folder, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (then, then))


def has_sidecars(folder: Path, first: int, count: int) -> bool:
    """Whether these images have their results."""
    paths = (image_path(folder, number) for number in range(first + count - 1, first - 1, -1))
    return all((folder / "results" / p.parent.name / f"{p.name}.json").exists() for p in paths)


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far, of all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mb(pid: int) -> float:
    """The most memory that the process had resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def run_once(folder: Path, config: Path, limit_s: float) -> list[Sample]:
    """`edge-daemon once`, stopped after `limit_s`; a sample each half second.

    The last sample is of the moment before its end, so a run has its processor time.
    """
    process = subprocess.Popen(
        [installed_command("edge-daemon"), "once", "--config", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    began_s, samples = time.monotonic(), list[Sample]()
    while process.poll() is None:
        # Counting a million rows takes longer than the rest of a sample.
        time.sleep(_SAMPLE_S if len(samples) < 40 else 8 * _SAMPLE_S)
        elapsed_s = time.monotonic() - began_s
        done = done_count(folder)
        try:
            samples.append(Sample(elapsed_s, cpu_s(process.pid), done, peak_mb(process.pid)))
        except (OSError, StopIteration):
            break
        if elapsed_s > limit_s:
            process.send_signal(signal.SIGTERM)
            break
    process.wait(60)
    return samples


class Running:
    """`edge-daemon run`, ready to label."""

    def __init__(self, config: Path, scratch: Path) -> None:
        address = scratch / "notify"
        address.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.bind(str(address))
            notified.settimeout(_READY_LIMIT_S)
            began_s = time.monotonic()
            self._process = subprocess.Popen(
                [installed_command("edge-daemon"), "run", "--config", str(config)],
                env={**os.environ, "NOTIFY_SOCKET": str(address)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            while b"READY=1" not in notified.recv(4096):
                pass
            self.start_s = time.monotonic() - began_s
        self.pid = self._process.pid
        self.start_cpu_s = cpu_s(self.pid)

    def idle_percent(self, seconds: float) -> float:
        """Percent of a core, over some seconds."""
        before_s, began_s = cpu_s(self.pid), time.monotonic()
        time.sleep(seconds)
        return 100 * (cpu_s(self.pid) - before_s) / (time.monotonic() - began_s)

    def stop(self) -> None:
        """End it as systemd does."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)


def tidy(folder: Path) -> None:
    """Remove what a run has left."""
    shutil.rmtree(folder, ignore_errors=True)
