"""Tests for daemon.cli: commands, exit codes, and what a person reads."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import main

Jpeg = Callable[..., bytes]
Until = Callable[..., None]


def run(site: Any, *words: str) -> int:
    return main([*words, "--config", str(site.config_path)])


def test_once_labels_and_prints_a_summary(
    site: Any, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("S1/1/a.jpg", colour_jpeg("red"))
    site.add("S1/1/b.jpg", b"no image", age_s=3600)
    assert run(site, "once") == 0
    out = capsys.readouterr().out
    assert "1 labelled, 0 unidentified, 1 rejected\n" in out
    assert "images/s" in out
    assert site.sidecar("S1/1/a.jpg")["label"] == "red"
    assert site.sidecar("S1/1/b.jpg")["reason"] == "unsupported_format"


def test_status_shows_counts_and_rejections(
    site: Any, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("S1/1/a.jpg", colour_jpeg("red"))
    site.add("S1/1/b.jpg", b"", age_s=3600)
    run(site, "once")
    capsys.readouterr()
    assert run(site, "status", "--json") == 0
    fields = json.loads(capsys.readouterr().out)
    assert fields["outcomes"] == {"labelled": 1, "rejected": 1}
    assert fields["labels"] == {"red": 1}
    assert fields["oldest_waiting"] is None
    assert fields["rejections"][0]["reason"] == "empty"
    assert fields["rejections"][0]["file"].endswith("/S1/1/b.jpg")
    assert run(site, "status") == 0
    text = capsys.readouterr().out
    assert "none waits" in text
    assert fields["rejections"][0]["log_id"] in text


def test_status_before_the_first_start_says_so(
    site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, "status") == 6
    assert "no daemon has run" in capsys.readouterr().err


def test_check_config_says_what_would_be_done(
    site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, "check-config") == 0
    out = capsys.readouterr().out
    assert "colours 1, int8 on onnxruntime-cpu" in out
    assert "3 golden images gave their labels" in out
    assert f"json and csv in {site.results}" in out
    assert not (site.folder / "state").exists()


def test_check_config_folders_that_cannot_be_used_are_all_named(
    site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    site.export.rmdir()
    site.results.write_bytes(b"in the way")
    assert run(site, "check-config") == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith("error: ") for line in errors)


def test_command_wrong_config_exits_2_with_a_line_each(
    site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    site.settings |= {"setle_s": 1, "workers": 0}
    for words in (["run"], ["once"], ["status"], ["check-config"]):
        assert run(site, *words) == 2
        errors = capsys.readouterr().err.splitlines()
        assert len(errors) == 2
        assert "did you mean 'settle_s'" in errors[1]


def test_command_changed_bundle_exits_3_and_labels_nothing(
    site: Any, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("a.jpg", colour_jpeg())
    model = Path(site.settings["bundle"]) / "model.int8.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    assert run(site, "once") == 3
    assert "model.int8.onnx is not the file that was converted" in capsys.readouterr().err
    assert not site.has_sidecar("a.jpg")


def test_command_golden_images_that_fail_exit_5(
    site: Any, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("a.jpg", colour_jpeg())
    monkeypatch.setattr("edge.golden.TOLERANCE", {"int8": -1.0})
    assert run(site, "once") == 5
    assert not site.has_sidecar("a.jpg")


def test_command_backend_that_is_not_here_exits_5(site: Any) -> None:
    site.settings["backend"] = "tensorrt"
    assert run(site, "check-config") == 5


def test_command_damaged_journal_exits_6_and_is_left_alone(
    site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.folder / "state").mkdir()
    journal = site.folder / "state" / "journal.sqlite3"
    journal.write_bytes(b"x" * 5000)
    assert run(site, "once") == 6
    assert "aside" in capsys.readouterr().err
    assert journal.read_bytes() == b"x" * 5000


def test_command_unexpected_error_is_one_line(
    site: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_config: object) -> list[str]:
        raise RuntimeError("odd")

    monkeypatch.setattr("daemon.cli.check_config", broken)
    assert run(site, "check-config") == 1
    assert capsys.readouterr().err == (
        "error: unexpected RuntimeError: odd. Run again with --debug.\n"
    )
    assert run(site, "check-config", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_run_tells_systemd_and_sigterm_ends_it_cleanly(
    site: Any, colour_jpeg: Jpeg, until: Until
) -> None:
    address = str(site.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.settimeout(20)
        process = site.start("run", NOTIFY_SOCKET=address, WATCHDOG_USEC="400000")
        said = [server.recv(4096).decode()]
        while said[-1] != "READY=1":
            said.append(server.recv(4096).decode())
        images = [site.export / f"S{n // 10}" / f"{n}.jpg" for n in range(60)]
        for number, path in enumerate(images):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(colour_jpeg("green", seed=number))
            if number == 30:
                until(lambda: site.has_sidecar("S0/0.jpg"))
                process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 0, errors
        while not said[-1].startswith("STOPPING"):
            said.append(server.recv(4096).decode())
    assert "WATCHDOG=1" in said
    assert any(message.startswith("STATUS=") for message in said)
    states = {row[0] for row in site.outcomes().values()}
    assert states <= {"done", "waiting"}
    assert run(site, "once") == 0
    for path in images:
        assert site.sidecar(str(path.relative_to(site.export)))["label"] == "green"


def test_run_second_daemon_is_refused_and_told_who(site: Any, until: Until) -> None:
    first = site.start("run")
    until((site.folder / "state" / "journal.sqlite3").exists)
    second = site.start("once")
    _, errors = second.communicate(timeout=20)
    assert second.returncode == 6
    assert f"in use by process {first.pid}" in errors
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=20)


def test_run_log_names_no_sample(site: Any, colour_jpeg: Jpeg, until: Until) -> None:
    site.settings["log"] = {"level": "debug"}
    site.add("S777/1/a.jpg", colour_jpeg("red"))
    site.add("S777/1/b.jpg", colour_jpeg("red", side_px=16))
    process = site.start("run")
    until(lambda: site.has_sidecar("S777/1/a.jpg") and site.has_sidecar("S777/1/b.jpg"))
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "rejected: too_small" in errors
    assert "S777" not in errors


def test_once_stopped_before_the_end_exits_130(site: Any, colour_jpeg: Jpeg, until: Until) -> None:
    # A file that is not whole keeps `once` waiting for as long as its patience lasts.
    site.settings["settle_s"] = 5.0
    site.add("a.jpg", colour_jpeg()[:500], age_s=10)
    process = site.start("once")
    until((site.folder / "state" / "journal.sqlite3").exists)
    until(lambda: "a.jpg" in site.outcomes())
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "start again to go on" in errors
    assert site.outcomes()["a.jpg"][0] == "waiting"
