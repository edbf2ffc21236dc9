"""Tests for `edge-daemon status`: who runs, and what it said last."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from daemon.cli import main
from daemon.health.health import HEALTH_NAME
from daemon.install.installed_config import is_installed
from daemon.supervision.running_daemon import Running, read_running
from tests.daemon.supervision.reports import SAMPLE, status
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


def test_status_says_who_runs_and_what_it_said_last(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.settings["precision"] = "int8"
    site.add(f"{SAMPLE}/1/a.jpg", b"")
    with site.running():
        until((site.folder / "state" / HEALTH_NAME).exists)
        until(lambda: len(site.outcomes()) == 1)
        fields = json.loads(status(site, capsys, "--json"))
        assert fields["daemon"]["pid"] == os.getpid()
        assert fields["daemon"]["health"]["model"] == "colours 1"
        text = status(site, capsys)
    assert f"process {os.getpid()}" in text
    assert "colours 1, int8 on onnxruntime-cpu (model.int8.onnx)" in text
    assert "health    ok" in text
    assert "NOT RUNNING" not in text


def test_status_after_the_daemon_was_killed_does_not_trust_what_it_left(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("S1/1/a.jpg", colour_jpeg("red"))
    process = site.start("run")
    until((site.folder / "state" / HEALTH_NAME).exists)
    until(lambda: site.has_sidecar("S1/1/a.jpg"))
    assert read_running(site.folder / "state").pid == process.pid
    process.kill()
    process.communicate()
    fields = json.loads(status(site, capsys, "--json"))
    expected = {"is_running": False, "pid": None, "silent_s": None, "health": None}
    assert fields["daemon"] == expected
    text = status(site, capsys)
    assert "daemon    NOT RUNNING" in text
    # No unit reads this configuration, so that none can be started.
    assert f"    edge-daemon once --config {site.config_path}" in text
    assert "systemctl" not in text


def test_status_of_an_installed_daemon_that_does_not_run_says_how_to_start_it(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["once", "--config", str(site.config_path)]) == 0
    assert not is_installed(site.config_path)
    monkeypatch.setattr("daemon.operator.status.is_installed", lambda _: True)
    capsys.readouterr()
    text = status(site, capsys)
    assert "    systemctl start edge-daemon" in text
    # A start that failed is told there alone.
    assert "    journalctl -u edge-daemon -n 50" in text


def test_status_of_a_daemon_that_has_gone_silent_says_so(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site.folder / "state" / HEALTH_NAME
    with site.running():
        until(path.exists)
        fields = json.loads(path.read_text())
        path.write_text(json.dumps(fields | {"written_at": fields["written_at"] - 3700}))
        text = status(site, capsys)
    assert "health    UNKNOWN" in text
    assert "no status was written for 1 h 1 min" in text


def test_status_tells_meaning_and_remedy_and_retry_takes_one_reason(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.settings["limits"] = {"max_bytes": 1000}
    site.add("S1/1/large.jpg", colour_jpeg("red"))
    site.add("S1/1/empty.jpg", b"", age_s=3600)
    site.add("S1/1/small.jpg", b"none", age_s=3600)
    assert main(["once", "--config", str(site.config_path)]) == 0
    text = status(site, capsys)
    assert "too_large: more bytes than limits.max_bytes" in text
    assert "empty: the file has no bytes" in text
    assert f"edge-daemon retry --config {site.config_path} --reason too_large\n" in text
    lines = [line for line in text.splitlines() if str(site.folder) not in line]
    assert max(len(line) for line in lines) <= 80
    site.settings["limits"] = {"max_bytes": 100_000}
    assert main(["retry", "--reason", "too_large", "--config", str(site.config_path)]) == 0
    assert capsys.readouterr().out == "to be labelled again: 1\n"
    assert main(["once", "--config", str(site.config_path)]) == 0
    assert site.sidecar("S1/1/large.jpg")["label"] == "red"
    assert site.outcomes()["S1/1/empty.jpg"][3] == "empty"


def test_retry_of_an_unknown_reason_is_refused(site: Site) -> None:
    with pytest.raises(SystemExit):
        main(["retry", "--reason", "to_large", "--config", str(site.config_path)])


def test_running_is_not_fooled_by_who_waits_for_the_lock_or_held_it_before(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    locks = tmp_path / "locks"
    inode = lock.stat().st_ino
    locks.write_text(
        f"1: -> FLOCK  ADVISORY  WRITE 4712 fe:00:{inode} 0 EOF\n"
        f"1: FLOCK  ADVISORY  WRITE 4711 fe:00:{inode} 0 EOF\n"
        f"2: POSIX  ADVISORY  WRITE 4713 fe:00:{inode} 0 EOF\n"
    )
    # A daemon that was killed has left this; process 4711 may be an `edge-daemon once`.
    health = {"pid": 4710, "written_at": time.time()}
    (tmp_path / HEALTH_NAME).write_text(json.dumps(health))
    assert read_running(tmp_path, locks=locks) == Running(4711)
    locks.write_text("")
    assert read_running(tmp_path, locks=locks).pid is None


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b"{" + b'"a":' * 2000,
        b" " * 2_000_000,
        b'{"pid": ' + b"1" * 5000 + b"}",
        b"[]",
        b'{"pid": %d}',
        b'{"pid": %d, "written_at": "x"}',
        b'{"pid": %d, "written_at": NaN, "since": "2026-01-01", "status": "ok", "reasons": []}',
        b'{"pid": %d, "written_at": 1.0, "since": "2026-13-45", "status": "ok", "reasons": []}',
        b'{"pid": %d, "written_at": 1.0, "since": "2026-01-01", "status": "ok", "reasons": [1]}',
    ],
)
def test_status_passes_over_a_health_that_somebody_changed(
    site: Site, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = site.folder / "state" / HEALTH_NAME
    with site.running():
        until(path.exists)
        path.write_bytes(content.replace(b"%d", str(os.getpid()).encode()))
        text = status(site, capsys)
    assert f"daemon    process {os.getpid()}" in text


def test_status_shows_no_control_character_of_names_and_files(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site.folder / "state" / HEALTH_NAME
    site.add("S1/\x1b[2J\nrejected  no\udc80.jpg", b"")
    with site.running():
        until(lambda: [row[0] for row in site.outcomes().values()] == ["done"])
        until(path.exists)
        fields = json.loads(path.read_text())
        path.write_text(json.dumps(fields | {"reasons": ["\x1b[31mred\nhealth ok"]}))
        text = status(site, capsys)
    assert "\x1b" not in text
    assert not any(line.startswith(("rejected  no", "health ok")) for line in text.splitlines())
    assert r"- \x1b[31mred" in text
    assert r"\x1b[2J\nrejected  no\x80.jpg" in text
