"""The real daemon in a process of its own, as in production."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.files import atomic
from edge.system.children import with_this_parent
from edge.system.installed import installed_command

_READY_LIMIT_S: Final = 120.0
_STOP_LIMIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class DaemonStart:
    """How the daemon is started.

    `command` replaces the installed `edge-daemon`; `settings` are added to its configuration.
    """

    command: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """The command, without its subcommand."""
        return list(self.command) or [installed_command("edge-daemon")]


def write_config(folder: Path, bundle: Bundle, settings: Mapping[str, Any]) -> Path:
    """A configuration for the folders `export` and `state` of `folder`."""
    config = {
        "bundle": str(bundle.root.resolve()),
        "watch": [{"folder": str((folder / "export").resolve())}],
        "state_dir": str((folder / "state").resolve()),
        **settings,
    }
    # JSON is YAML.
    atomic.write_file(folder / "edge.yaml", json.dumps(config).encode())
    return folder / "edge.yaml"


@contextmanager
def running(config: Path, start: DaemonStart) -> Iterator[subprocess.Popen[bytes]]:
    """`edge-daemon run`, ready for images; it is stopped with the block.

    Raises:
        EdgeError: it did not start.
    """
    # The service sends READY=1 to systemd once it labels images at once.
    # Abstract: a path may be too long for an address.
    address = f"@edge-bench-{os.getpid()}-{token_hex(8)}"
    with _listening(address) as has_received:
        service = subprocess.Popen(
            [*start.words, "run", "--config", str(config.resolve())],
            env=with_this_parent({**os.environ, "NOTIFY_SOCKET": address}),
            stderr=subprocess.DEVNULL,
        )
        try:
            end_s = time.monotonic() + _READY_LIMIT_S
            while not has_received("READY=1"):
                if service.poll() is not None or time.monotonic() > end_s:
                    raise EdgeError("edge-daemon did not start. Run it by hand to see why.")
            yield service
        finally:
            _stop(service)


def require_running(service: subprocess.Popen[bytes]) -> None:
    """Check that the daemon has not ended.

    Raises:
        EdgeError: it has.
    """
    if service.poll() is not None:
        raise EdgeError(
            f"edge-daemon ended with exit code {service.returncode} during the measurement. "
            "Run it by hand to see why."
        )


def _stop(service: subprocess.Popen[bytes]) -> None:
    service.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        service.wait(_STOP_LIMIT_S)
        return
    service.kill()
    service.wait()


@contextmanager
def _listening(address: str) -> Iterator[Callable[[str], bool]]:
    """A socket in place of systemd's; the function says whether the next message has a line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(f"\0{address[1:]}")
        server.settimeout(0.5)

        def has_received(line: str) -> bool:
            try:
                return line in server.recv(4096).decode().splitlines()
            except TimeoutError:
                return False

        yield has_received
