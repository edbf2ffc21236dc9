"""Measures the time from closing an image file to its durable sidecar, for a stream of images.

The service runs in a process of its own, as in production.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.backends.interleave import Latencies
from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.files import atomic
from edge.system.children import with_this_parent
from edge.system.installed import installed_command
from edge.text.progress import OnCount

# The interval of looking for sidecars; each latency may be too long by this much.
_LOOK_S: Final = 0.0003
_READY_LIMIT_S: Final = 120.0
# The first images are not counted: caches are still cold.
WARM_UP: Final = 20


@dataclass(frozen=True, slots=True)
class DaemonStart:
    """How the daemon is started.

    `command` replaces the installed `edge-daemon`; `settings` are added to its configuration.
    """

    command: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamResults:
    """`latencies` are from close to sidecar, `model` is decode, preprocess and infer in them."""

    latencies: Latencies
    model: Latencies
    per_second: float

    @property
    def overhead_ms(self) -> float:
        """The median latency minus the model's median."""
        return self.latencies.median - self.model.median


def measure_stream(
    bundle: Bundle,
    images: list[Path],
    folder: Path,
    *,
    per_second: float,
    count: int,
    on_image: OnCount,
    daemon: DaemonStart | None = None,
) -> StreamResults:
    """Write `count` images into an export folder at an even pace and wait for each sidecar.

    Args:
        images: their bytes are written in turn.
        folder: an empty folder on the disk whose speed is to be measured.
        on_image: called with (done, total).
        daemon: how the daemon is started; by default the installed one.

    Raises:
        EdgeError: the service ended, or an image got no label.
    """
    contents = [path.read_bytes() for path in images]
    export, results = folder / "export", folder / "results"
    export.mkdir(parents=True)
    results.mkdir()
    service = _start(bundle, folder, daemon or DaemonStart())
    try:
        waits_ms = _write_and_wait(
            service, export, results, contents, per_second, count + WARM_UP, on_image
        )
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(30)
    models_ms = [_model_ms(results / f"{n:06}.jpg.json") for n in range(count + WARM_UP)]
    return StreamResults(
        Latencies(np.asarray(waits_ms[WARM_UP:])),
        Latencies(np.asarray(models_ms[WARM_UP:])),
        per_second,
    )


def _start(bundle: Bundle, folder: Path, daemon: DaemonStart) -> subprocess.Popen[bytes]:
    config = {
        "bundle": str(bundle.root.resolve()),
        "watch": [{"folder": str((folder / "export").resolve())}],
        "results": {"folder": str((folder / "results").resolve())},
        "state_dir": str((folder / "state").resolve()),
        **daemon.settings,
    }
    # JSON is YAML.
    atomic.write_file(folder / "edge.yaml", json.dumps(config).encode())
    # Wait for the READY=1 that the service sends to systemd: it now labels images at once.
    address = folder / "notify"
    with _listening(address) as has_received:
        command = daemon.command or [installed_command("edge-daemon")]
        service = subprocess.Popen(
            [*command, "run", "--config", str((folder / "edge.yaml").resolve())],
            env=with_this_parent({**os.environ, "NOTIFY_SOCKET": str(address)}),
            stderr=subprocess.DEVNULL,
        )
        end_s = time.monotonic() + _READY_LIMIT_S
        while not has_received("READY=1"):
            if service.poll() is not None or time.monotonic() > end_s:
                service.kill()
                raise EdgeError("edge-daemon did not start. Run it by hand to see why.")
    return service


def _write_and_wait(
    service: subprocess.Popen[bytes],
    export: Path,
    results: Path,
    contents: list[bytes],
    per_second: float,
    count: int,
    on_image: OnCount,
) -> list[float]:
    """Milliseconds from close to visible sidecar of each image."""
    closed_s: dict[int, float] = {}
    waits_ms = [0.0] * count
    written = 0
    start_s = time.perf_counter()
    while written < count or closed_s:
        now_s = time.perf_counter()
        if written < count and now_s >= start_s + written / per_second:
            path = export / f"{written:06}.jpg"
            path.write_bytes(contents[written % len(contents)])
            closed_s[written] = time.perf_counter()
            written += 1
        for number in list(closed_s):
            if (results / f"{number:06}.jpg.json").exists():
                waits_ms[number] = (time.perf_counter() - closed_s.pop(number)) * 1e3
                on_image(number + 1, count)
        if service.poll() is not None:
            raise EdgeError(
                f"edge-daemon ended with exit code {service.returncode} during the measurement. "
                "Run it by hand to see why."
            )
        time.sleep(_LOOK_S)
    return waits_ms


def _model_ms(sidecar: Path) -> float:
    fields: dict[str, Any] = json.loads(sidecar.read_bytes())
    if fields["status"] == "rejected":
        raise EdgeError(f"an image was rejected ({fields['reason']}). Give images that decode.")
    return float(fields["timing_ms"]["total"])


@contextmanager
def _listening(address: Path) -> Iterator[Callable[[str], bool]]:
    """A socket in place of systemd's; the function says whether the next message has a line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(address))
        server.settimeout(0.5)

        def has_received(line: str) -> bool:
            try:
                return line in server.recv(4096).decode().splitlines()
            except TimeoutError:
                return False

        yield has_received
