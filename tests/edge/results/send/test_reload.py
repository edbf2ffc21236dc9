"""Tests for reading the configuration again while `edge-results send --watch` runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.notify_socket import listening
from tests.support.waiting import until

KEPT = "the configuration of before is kept, as the new one cannot be used"


def test_what_cannot_be_used_keeps_the_configuration_of_before(tmp_path: Path) -> None:
    for folder in ("results", "lis"):
        (tmp_path / folder).mkdir()
    (tmp_path / "file").write_text("")
    config, log = tmp_path / "results.yaml", tmp_path / "log"
    target = {"name": "lis", "format": "json", "drop": "lis"}
    settings = {"state_dir": "state", "sidecars": {"folder": "results"}, "targets": [target]}
    config.write_text(json.dumps(settings))
    address = str(tmp_path / "notify")
    words = [sys.executable, "-m", "edge.results.cli", "send", "--watch", "--config", str(config)]
    with (
        listening(address) as systemd,
        log.open("w") as lines,
        subprocess.Popen(
            words, env={**os.environ, "NOTIFY_SOCKET": address}, stdout=lines, stderr=lines
        ) as process,
    ):
        systemd.settimeout(15)
        until(lambda: systemd.recv(4096) == b"READY=1")
        future = {"targets": [target | {"name": "new", "since": "2999-01-01T00:00:00Z"}]}
        for changes, line in (
            ({"state_dir": "file/state"}, KEPT),
            (future, KEPT),
            ({"state_dir": "other"}, "the configuration was read again"),
        ):
            config.write_text(json.dumps(settings | changes))
            process.send_signal(signal.SIGHUP)
            until(lambda: systemd.recv(4096).startswith(b"RELOADING=1"))
            until(lambda: systemd.recv(4096) == b"READY=1")
            *_, last = log.read_text().splitlines()
            assert last == line
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    refused, _, late, *_ = log.read_text().splitlines()
    assert refused.startswith("error: ")
    assert "file/state" in refused
    assert "since of new is 2999-01-01T00:00:00+00:00, which is in the future" in late
    assert (tmp_path / "other" / "issued.sqlite3").exists()
