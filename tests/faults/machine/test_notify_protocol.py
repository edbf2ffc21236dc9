"""What `edge-daemon run` tells systemd, read from a real datagram socket: sd_notify(3).

Runs where no systemd is to be had; service/test_service.py tests what systemd makes of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon import startup
from daemon.system.folder_locks import LOCK_NAME
from edge.bundle import seal
from edge.system.notifier import Notifier
from tests.support.images import Jpeg
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
WATCHDOG_S = 2.0


class Systemd:
    """Stands for systemd: starts the daemon with a socket and reads what it is told."""

    def __init__(self, server: socket.socket, address: Path, folder: Path) -> None:
        self._server = server
        self.address = address
        self.config = folder / "edge.yaml"
        self.export, self.results = folder / "export", folder / "results"
        self.told: list[dict[str, str]] = []

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[str]]:
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(self.address),
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "daemon.cli", "run", "--config", str(self.config)],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def wait_for(self, key: str, *, timeout_s: float = 20.0) -> dict[str, str]:
        """The next message with `key`; those before it are kept in `told`."""
        end_s = time.monotonic() + timeout_s
        while True:
            self._server.settimeout(max(0.001, end_s - time.monotonic()))
            lines = self._server.recv(4096).decode().split("\n")
            message = dict(line.split("=", 1) for line in lines)
            self.told.append(message)
            if key in message:
                return message

    def drain(self) -> None:
        """Read what has come so far."""
        self._server.settimeout(0)
        try:
            while True:
                lines = self._server.recv(4096).decode().split("\n")
                self.told.append(dict(line.split("=", 1) for line in lines))
        except BlockingIOError:
            pass

    def assignments(self) -> list[str]:
        """What was told, in order, without status lines."""
        return [key for message in self.told for key in message if key != "STATUS"]

    def configure(self, **changes: Any) -> None:
        self.config.write_text(
            yaml.safe_dump({**yaml.safe_load(self.config.read_text()), **changes})
        )

    def label(self, name: str) -> str:
        """The label of an image, when it is there."""
        path = self.results / f"{name}.json"
        until(path.exists)
        return str(json.loads(path.read_bytes())["label"])


@pytest.fixture
def systemd(tmp_path: Path, small_bundle: Path) -> Iterator[Systemd]:
    for name in ("export", "results"):
        (tmp_path / name).mkdir()
    settings = {
        "bundle": str(small_bundle),
        "watch": [{"folder": "export"}],
        "results": {"folder": "results"},
        "settle_s": 0.1,
        "state_dir": "state",
    }
    (tmp_path / "edge.yaml").write_text(yaml.safe_dump(settings))
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(address))
        yield Systemd(server, address, tmp_path)


def expect_other_logits(bundle: Path) -> None:
    """Make the golden images expect what the model does not give, with every hash right."""
    golden = bundle / "golden" / "golden.json"
    entries = json.loads(golden.read_bytes())
    for entry in entries:
        for logits in entry["logits"].values():
            logits.reverse()
    entries[1]["logits"] = {key: [20.0, 4.0, 4.0] for key in entries[1]["logits"]}
    golden.write_text(json.dumps(entries))
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    for artefact in manifest["artefacts"]:
        content = (bundle / artefact["path"]).read_bytes()
        artefact["sha256"], artefact["bytes"] = hashlib.sha256(content).hexdigest(), len(content)
    content = json.dumps(manifest).encode()
    (bundle / "manifest.json").write_bytes(content)
    (bundle / "manifest.sha256").write_bytes(seal(content))


def test_ready_then_watchdog_then_stopping_and_every_image_is_labelled(
    systemd: Systemd, colour_jpeg: Jpeg
) -> None:
    with systemd.started() as process:
        systemd.wait_for("READY")
        for name, colour in (("a.jpg", "red"), ("b.jpg", "blue")):
            (systemd.export / name).write_bytes(colour_jpeg(colour))
        assert [systemd.label("a.jpg"), systemd.label("b.jpg")] == ["red", "blue"]
        for _ in range(2):
            systemd.wait_for("WATCHDOG", timeout_s=WATCHDOG_S)
        process.send_signal(signal.SIGTERM)
        systemd.wait_for("STOPPING")
        assert process.wait(15) == 0
    assert systemd.assignments().count("READY") == systemd.assignments().count("STOPPING") == 1


def test_golden_images_with_other_labels_mean_no_ready_and_no_label(
    systemd: Systemd, small_bundle: Path, colour_jpeg: Jpeg
) -> None:
    expect_other_logits(small_bundle)
    (systemd.export / "a.jpg").write_bytes(colour_jpeg("red"))
    with systemd.started() as process:
        assert process.wait(20) == 5
        assert process.stderr is not None
        assert "golden" in process.stderr.read()
    systemd.drain()
    assert "READY" not in systemd.assignments()
    assert [p for p in systemd.results.iterdir() if p.name != LOCK_NAME] == []


def test_stopped_daemon_sends_no_watchdog_and_goes_on_when_continued(
    systemd: Systemd, colour_jpeg: Jpeg
) -> None:
    with systemd.started() as process:
        systemd.wait_for("READY")
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        systemd.drain()
        (systemd.export / "a.jpg").write_bytes(colour_jpeg("green"))
        with pytest.raises(TimeoutError):
            systemd.wait_for("WATCHDOG", timeout_s=WATCHDOG_S)
        process.send_signal(signal.SIGCONT)
        systemd.wait_for("WATCHDOG")
        assert systemd.label("a.jpg") == "green"


def test_reload_is_told_with_its_moment_and_a_wrong_configuration_changes_nothing(
    systemd: Systemd, colour_jpeg: Jpeg
) -> None:
    with systemd.started() as process:
        systemd.wait_for("READY")
        if not _catches_sighup(process.pid):
            pytest.skip("this edge-daemon does not handle SIGHUP yet")
        formats = {"folder": "results", "formats": ["json"]}
        systemd.configure(results=formats, settle_s=-1)
        _reload(systemd, process)
        (systemd.export / "a.jpg").write_bytes(colour_jpeg("red"))
        assert systemd.label("a.jpg") == "red"
        assert (systemd.results / "a.jpg.csv").exists()

        systemd.configure(results=formats, settle_s=0.1)
        _reload(systemd, process)
        (systemd.export / "b.jpg").write_bytes(colour_jpeg("blue"))
        assert systemd.label("b.jpg") == "blue"
        assert not (systemd.results / "b.jpg.csv").exists()
        assert process.poll() is None


def _catches_sighup(pid: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (caught,) = (line.split()[1] for line in lines if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << (signal.SIGHUP - 1))


def _reload(systemd: Systemd, process: subprocess.Popen[str]) -> None:
    asked_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    process.send_signal(signal.SIGHUP)
    message = systemd.wait_for("RELOADING")
    # systemd takes a reload for an older one if this moment is before its own signal.
    now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert asked_us <= int(message["MONOTONIC_USEC"]) <= now_us
    systemd.wait_for("READY")


def test_building_of_an_engine_asks_systemd_for_more_time(systemd: Systemd) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(systemd.address)})
    tell = startup.announced(notifier).on_progress
    assert tell is not None
    tell("building", 3, 10)
    message = systemd.wait_for("EXTEND_TIMEOUT_USEC")
    assert int(message["EXTEND_TIMEOUT_USEC"]) == 120_000_000
    assert systemd.wait_for("STATUS")["STATUS"] == "building: 3 of 10"
